//! `--status`.

use super::super::terminal::Terminal;
use super::{Done, say};
use crate::api::Alarm;
use crate::base::{Service, sentences};
use crate::supervise::{Status, Supervisor};

/// Prints how the services are, grouped; one that was named alone gets one line.
pub(super) fn show(supervisor: &Supervisor, named: &[Service], terminal: &mut Terminal) -> Done {
    let services = if named.is_empty() { &Service::ALL } else { named };
    let mut found = Vec::new();
    for &service in services {
        match supervisor.status(service) {
            Ok(status) => found.push((service, status)),
            Err(error) => {
                say(terminal, &sentences(&error));
                return Done::Badly;
            }
        }
    }
    terminal.out(&text(&found));
    let alarms = found
        .iter()
        .filter(|(_, status)| *status != Status::Stopped)
        .filter_map(|(service, _)| Some((*service, supervisor.alarm(*service)?)));
    let alarms: Vec<_> = alarms.collect();
    terminal.out(&alarm_lines(&alarms, found.len() == 1));
    if alarms.is_empty() { Done::Well } else { Done::Alarmed }
}

/// Below what the original prints, in its form; each alarm has one line.
fn alarm_lines(alarms: &[(Service, Alarm)], alone: bool) -> String {
    let lines: String = alarms
        .iter()
        .map(|(service, alarm)| {
            let what = alarm.what.replace(['\n', '\r'], " ");
            format!(" {service} ({}): {what}\n", alarm.kind.word())
        })
        .collect();
    match (alarms, alone) {
        ([], _) => lines,
        (_, true) => format!("Alarm:{lines}"),
        (_, false) => format!("Alarm:\n{lines}"),
    }
}

const fn heading(status: Status) -> &'static str {
    match status {
        Status::Running => "Running:",
        Status::Stopped => "Stopped:",
        Status::StartPending => "StartPending:",
    }
}

fn text(found: &[(Service, Status)]) -> String {
    if let [(service, status)] = found {
        return format!("{} {service}\n", heading(*status));
    }
    let mut text = String::new();
    for group in [Status::Running, Status::Stopped, Status::StartPending] {
        let mut names: Vec<&str> = found
            .iter()
            .filter(|(_, status)| *status == group)
            .map(|(service, _)| service.name())
            .collect();
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            text.push_str(&format!("{}\n {}\n", heading(group), names.join(" ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{alarm_lines, text};
    use crate::api::{Alarm, AlarmKind};
    use crate::base::Service::{Gateway, Vmafdd, Vmcad, Vmdird};
    use crate::supervise::Status::{Running, StartPending, Stopped};

    #[test]
    fn services_are_grouped_and_sorted() {
        let mixed =
            [(Vmafdd, Running), (Vmdird, Running), (Vmcad, StartPending), (Gateway, Stopped)];
        assert_eq!(
            text(&mixed),
            "Running:\n vmafdd vmdird\nStopped:\n gateway\nStartPending:\n vmcad\n"
        );
        let all = [Vmafdd, Vmdird, Vmcad, Gateway].map(|service| (service, Running));
        assert_eq!(text(&all), "Running:\n gateway vmafdd vmcad vmdird\n");
    }

    #[test]
    fn an_alarm_has_one_line_and_no_alarm_none() {
        let alarm = |kind| Alarm { kind, what: "it happened:\ndo this".to_owned() };
        let two = [(Vmafdd, alarm(AlarmKind::Replaced)), (Vmcad, alarm(AlarmKind::Pin))];
        assert_eq!(
            alarm_lines(&two, false),
            "Alarm:\n vmafdd (replaced): it happened: do this\n vmcad (pin): it happened: do this\n"
        );
        assert_eq!(alarm_lines(&two[1..], true), "Alarm: vmcad (pin): it happened: do this\n");
        assert_eq!((alarm_lines(&[], false), alarm_lines(&[], true)), Default::default());
    }

    #[test]
    fn one_service_has_one_line() {
        assert_eq!(text(&[(Vmcad, Stopped)]), "Stopped: vmcad\n");
    }
}
