//! `sealwright ca`: what the appliance is and was as a CA.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{complain, print_result, say};
use crate::api::ca::{AUTHORITIES, Authority, RETIRE, Retire};
use crate::base::{Layout, Service};
use crate::client::{Client, Error};

/// The CA answers from its database; this allows for a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Something to ask the CA.
#[derive(Debug)]
pub enum Question {
    /// Every CA.
    Authorities,
    /// Stop signing revocation lists for the one with this number.
    Retire(i64),
}

/// Asks, and prints the answer.
pub fn ask(layout: &Layout, question: &Question) -> ExitCode {
    let vmcad = Client::new(&layout.socket(Service::Vmcad), DEADLINE);
    let answer = match question {
        Question::Authorities => vmcad.get(AUTHORITIES).map(|all: Vec<Authority>| table(&all)),
        Question::Retire(id) => vmcad
            .post::<()>(RETIRE, &Retire { id: *id })
            .map(|()| format!("CA {id} is retired: no more revocation lists are signed for it.\n")),
    };
    match answer {
        Ok(text) => print_result(&text),
        Err(Error::Refused(problem)) => {
            say(&format!("{} (error {})", problem.detail, problem.code));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn table(authorities: &[Authority]) -> String {
    if authorities.is_empty() {
        return "There is no CA yet: certool --selfca makes one, certool --gencacsr asks for one.\n"
            .to_owned();
    }
    let mut text = format!(
        "{:<4}{:<12}{:<10}{:<10}{:<22}SUBJECT\n",
        "ID", "STATE", "KEY", "ORIGIN", "NOT AFTER"
    );
    for authority in authorities {
        let until = OffsetDateTime::from_unix_timestamp(authority.not_after)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_else(|| authority.not_after.to_string());
        let origin = if authority.imported { "imported" } else { "token" };
        // Writing into a string does not fail.
        let _written = writeln!(
            text,
            "{:<4}{:<12}{:<10}{:<10}{:<22}{}\n    CKA_ID  {}\n    SHA-256 {}",
            authority.id,
            authority.state,
            authority.algorithm.to_string(),
            origin,
            until,
            authority.subject,
            authority.key_id,
            authority.sha256
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::api::ca::Authority;
    use crate::base::KeyAlgorithm;

    #[test]
    fn a_ca_is_shown_with_what_tells_it_from_others() {
        let authority = Authority {
            id: 2,
            subject: "CN=CA,O=vc".to_owned(),
            state: "superseded".to_owned(),
            key_id: "ab".repeat(32),
            algorithm: KeyAlgorithm::Rsa(3072),
            imported: true,
            not_after: 1_900_000_000,
            sha256: "cd".repeat(32),
        };
        let expected = format!(
            "ID  STATE       KEY       ORIGIN    NOT AFTER             SUBJECT\n\
             2   superseded  rsa-3072  imported  2030-03-17T17:46:40Z  CN=CA,O=vc\n    \
             CKA_ID  {}\n    SHA-256 {}\n",
            "ab".repeat(32),
            "cd".repeat(32)
        );
        assert_eq!(table(&[authority]), expected);
        assert!(table(&[]).contains("--selfca"));
    }
}
