//! `--enumcert`: what VMCA issued, page by page.

use super::command::Which;
use super::failure::{Ending, from_x509};
use super::vmca::Vmca;
use crate::api::ca::{self as words, Filter};
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::x509::certificates_from_pem;

/// Shows certificates as they come: neither this side nor VMCA ever has them all.
pub(super) fn list(which: Which, vmca: &Vmca, terminal: &mut Terminal) -> Result<(), Ending> {
    match which {
        Which::Of(filter) => pages(filter, vmca, terminal),
        Which::Expired => {
            terminal.out("--filter=expired is not supported\n");
            Err(Failure::new(
                codes::NOT_SUPPORTED,
                "VMCA does not look for expired certificates: list them with --filter=all, and look at 'Not After'",
            )
            .into())
        }
        Which::Nothing => Ok(()),
    }
}

/// The word, PEM and text on standard output, and between them the number on standard error, as the original writes
/// them.
fn pages(filter: Filter, vmca: &Vmca, terminal: &mut Terminal) -> Result<(), Ending> {
    let mut number = 0_u64;
    let mut after = None;
    loop {
        let page: words::Page = vmca.get(&words::page(filter, after))?;
        for pem in &page.certificates {
            number += 1;
            terminal.out(&format!("Cert \n{}\n", pem.trim_end()));
            terminal.err(&number.to_string());
            let found = certificates_from_pem(pem.as_bytes()).map_err(|error| from_x509(&error))?;
            for certificate in found {
                terminal.out(&format!("{}\n", certificate.to_text().trim_end()));
            }
        }
        after = page.next;
        if after.is_none() || terminal.is_closed() {
            return Ok(());
        }
    }
}
