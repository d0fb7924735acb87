//! What is said of an alarm, in every place where it is said.

use serde_json::Value;

use crate::harness::{Appliance, eventually};

/// The token of a service has this alarm: in the status, on the network without a reason, and in
/// the doctor's report.
pub fn is_raised(appliance: &Appliance, service: &str, kind: &str) {
    let line = format!("{service} ({kind}): ");
    let status = || appliance.run("service-control", &["--status"]);
    eventually("the status shows the alarm", || status().stdout.contains(&line));
    let said = status();
    assert_eq!(said.status, 2, "{said:?}");
    assert!(
        said.stdout.starts_with("Running:\n gateway vmafdd vmcad vmdird\nAlarm:\n"),
        "{said:?}"
    );
    assert_eq!(said.stdout.matches(&line).count(), 1, "{said:?}");
    let one = appliance.run("service-control", &["--status", service]);
    assert_eq!(one.status, 2, "{one:?}");
    assert!(one.stdout.starts_with(&format!("Running: {service}\nAlarm: {line}")), "{one:?}");

    let (status, body) = crate::gateway::health(appliance);
    assert_eq!(status, 503, "{body}");
    let public: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(public["alarm"], true, "{body}");
    assert!(!body.contains(kind) && !body.contains("PIN"), "strangers learn no reason: {body}");

    let doctor = appliance.run("sealwright", &["doctor", "--json"]);
    assert_eq!(doctor.status, 2, "{doctor:?}");
    let report: Value = serde_json::from_str(&doctor.stdout).unwrap();
    let found = report["findings"].as_array().unwrap().iter().any(|finding| {
        finding["check"] == "services.alarms"
            && finding["severity"] == "critical"
            && finding["what"].as_str().unwrap().contains(&format!("alarm of {service} ({kind})"))
    });
    assert!(found, "{}", doctor.stdout);
}

/// No alarm any more, and the status is what the original prints.
pub fn is_over(appliance: &Appliance) {
    eventually("the alarm is over", || {
        let said = appliance.run("service-control", &["--status"]);
        said.status == 0 && said.stdout == "Running:\n gateway vmafdd vmcad vmdird\n"
    });
    eventually("health is good again", || crate::gateway::health(appliance).0 == 200);
    let body = crate::gateway::health(appliance).1;
    assert!(body.contains("\"alarm\":false"), "{body}");
}

/// There was this alarm of a service, and no other one; it was told once and is over.
pub fn came_and_went(appliance: &Appliance, service: &str, kind: &str) {
    is_over(appliance);
    let expected = [format!("token.alarm {kind}"), format!("token.alarm-over {kind}")];
    assert_eq!(journalled(appliance, service), expected);
    assert_eq!(logged(appliance, service), 1);
}

/// What the journal of a service says about alarms: act and kind, in order.
pub fn journalled(appliance: &Appliance, service: &str) -> Vec<String> {
    let database = rusqlite::Connection::open_with_flags(
        appliance.database(service),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    let mut statement = database
        .prepare(
            "SELECT act || ' ' || json_extract(details, '$.kind') FROM journal WHERE act LIKE 'token.alarm%'
             ORDER BY sequence",
        )
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// How often the log of a service says so.
pub fn logged(appliance: &Appliance, service: &str) -> usize {
    let log = appliance.root().join("log").join(format!("{service}.log"));
    std::fs::read_to_string(log).unwrap().matches("ERROR ALARM").count()
}
