//! What the doctor says: checks, findings, and both ways to print them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::base::UnixTime;

/// How bad it is. The order counts: the worst one decides the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing has to be done now.
    Notice,
    /// To be put right.
    Warning,
    /// Custody or service is broken, or cannot be shown to hold.
    Critical,
}

impl Severity {
    const fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// What was seen.
    pub(super) what: String,
    /// Why it matters.
    pub(super) why: String,
    /// What to do.
    pub(super) action: String,
}

/// One check, with everything that it found.
#[derive(Debug)]
pub(super) struct Check {
    id: String,
    about: String,
    detail: String,
    findings: Vec<Finding>,
}

impl Check {
    /// `id` is for machines and stays the same; `about` says what holds when there is no finding.
    pub(super) fn new(id: impl Into<String>, about: impl Into<String>) -> Self {
        Self { id: id.into(), about: about.into(), detail: String::new(), findings: Vec::new() }
    }

    /// Adds what was seen, whether it is good or not.
    pub(super) fn saw(&mut self, detail: impl AsRef<str>) {
        if !self.detail.is_empty() {
            self.detail.push_str("; ");
        }
        self.detail.push_str(detail.as_ref());
    }

    pub(super) fn find(
        &mut self,
        severity: Severity,
        what: impl Into<String>,
        why: impl Into<String>,
        action: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity,
            what: what.into(),
            why: why.into(),
            action: action.into(),
        });
    }

    pub(super) fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }
}

/// Everything.
#[derive(Debug)]
pub(super) struct Report {
    /// The appliance's name; empty where the configuration cannot be read.
    pub(super) node: String,
    pub(super) at: UnixTime,
    pub(super) checks: Vec<Check>,
    /// What was seen in each token, by role.
    pub(super) tokens: BTreeMap<&'static str, hsm::examination::Examination>,
}

/// Version of the JSON structure; grows when a field changes its meaning or goes.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct ReportWords<'a> {
    format: u32,
    version: &'static str,
    node: &'a str,
    at: String,
    severity: Severity,
    checks: Vec<CheckWords<'a>>,
    findings: Vec<FindingWords<'a>>,
    tokens: &'a BTreeMap<&'static str, hsm::examination::Examination>,
}

#[derive(Serialize)]
struct CheckWords<'a> {
    id: &'a str,
    about: &'a str,
    severity: Severity,
    detail: &'a str,
}

#[derive(Serialize)]
struct FindingWords<'a> {
    check: &'a str,
    #[serde(flatten)]
    finding: &'a Finding,
}

impl Report {
    fn severity(&self) -> Severity {
        self.checks.iter().map(Check::severity).max().unwrap_or(Severity::Ok)
    }

    pub(super) fn status(&self) -> ExitCode {
        ExitCode::from(match self.severity() {
            Severity::Ok | Severity::Notice => 0,
            Severity::Warning => 1,
            Severity::Critical => 2,
        })
    }

    /// Every finding with the check that made it, the worst first.
    fn findings(&self) -> Vec<(&Check, &Finding)> {
        let mut all: Vec<_> = self
            .checks
            .iter()
            .flat_map(|check| check.findings.iter().map(move |finding| (check, finding)))
            .collect();
        all.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.severity));
        all
    }

    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        let checks = self.checks.iter().map(|check| CheckWords {
            id: &check.id,
            about: &check.about,
            severity: check.severity(),
            detail: &check.detail,
        });
        let findings = self.findings();
        let mut text = serde_json::to_string_pretty(&ReportWords {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            node: &self.node,
            at: moment(self.at),
            severity: self.severity(),
            checks: checks.collect(),
            findings: findings
                .into_iter()
                .map(|(check, finding)| FindingWords { check: &check.id, finding })
                .collect(),
            tokens: &self.tokens,
        })?;
        text.push('\n');
        Ok(text)
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = format!("Sealwright doctor: {} at {}\n\n", self.node, moment(self.at));
        let width = self.checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
        // Writing into a string does not fail.
        for check in &self.checks {
            let _ = writeln!(
                text,
                "[{:^8}] {:<width$}  {}",
                check.severity().mark(),
                printable(&check.id),
                printable(&check.about)
            );
        }
        let findings = self.findings();
        for (check, finding) in &findings {
            let _ = writeln!(
                text,
                "\n{} {}\n  What  {}\n  Why   {}\n  Do    {}",
                finding.severity.mark(),
                check.id,
                printable(&finding.what),
                printable(&finding.why),
                printable(&finding.action)
            );
        }
        let count =
            |severity| findings.iter().filter(|(_, finding)| finding.severity == severity).count();
        let _ = writeln!(
            text,
            "\n{} checks: {} critical, {} warnings, {} notices",
            self.checks.len(),
            count(Severity::Critical),
            count(Severity::Warning),
            count(Severity::Notice)
        );
        text
    }
}

/// Labels and names come from outside: they must not move the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// RFC 3339, UTC.
pub(super) fn moment(at: UnixTime) -> String {
    OffsetDateTime::from_unix_timestamp(at)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Check, Report, Severity};
    use std::collections::BTreeMap;
    use std::process::ExitCode;

    fn report(severities: &[Severity]) -> Report {
        let mut checks = vec![Check::new("a.well", "all is well")];
        for severity in severities {
            let mut check = Check::new("b.bad", "holds");
            check.find(*severity, format!("{severity:?}\u{1b}[2J"), "why", "do");
            checks.push(check);
        }
        Report { node: "n".to_owned(), at: 0, checks, tokens: BTreeMap::new() }
    }

    #[test]
    fn the_worst_finding_decides() {
        use Severity::{Critical, Notice, Warning};
        let cases: [(&[Severity], u8); 4] =
            [(&[], 0), (&[Notice], 0), (&[Notice, Warning], 1), (&[Critical, Warning], 2)];
        for (severities, status) in cases {
            let found = format!("{:?}", report(severities).status());
            assert_eq!(found, format!("{:?}", ExitCode::from(status)), "{severities:?}");
        }
    }

    #[test]
    fn the_text_has_a_line_for_each_check_and_the_worst_finding_first() {
        let text = report(&[Severity::Notice, Severity::Critical]).to_text();
        assert!(text.contains("[   ok   ] a.well  all is well\n"), "{text}");
        assert!(text.find("CRITICAL b.bad").unwrap() < text.find("notice b.bad").unwrap());
        assert!(text.ends_with("3 checks: 1 critical, 0 warnings, 1 notices\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "control characters reach the terminal");
    }

    #[test]
    fn the_json_has_the_documented_fields() {
        let text = report(&[Severity::Warning]).to_json().unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["format"], 1);
        assert_eq!(value["severity"], "warning");
        assert_eq!(value["at"], "1970-01-01T00:00:00Z");
        assert_eq!(value["checks"][0]["severity"], "ok");
        let finding = &value["findings"][0];
        for (field, expected) in
            [("check", "b.bad"), ("severity", "warning"), ("why", "why"), ("action", "do")]
        {
            assert_eq!(finding[field], expected);
        }
    }
}
