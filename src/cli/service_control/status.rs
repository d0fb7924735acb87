//! `--status`.

use super::super::terminal::Terminal;
use super::{Done, say};
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
    Done::Well
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
    use super::text;
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
    fn one_service_has_one_line() {
        assert_eq!(text(&[(Vmcad, Stopped)]), "Stopped: vmcad\n");
    }
}
