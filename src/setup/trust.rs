//! Waiting until TRUSTED_ROOTS holds the CA: its certificates go to the directory and from there into
//! the store, by background jobs of the services.

use std::time::{Duration, Instant};

use super::Cause;
use super::step::Done;
use crate::api::ca::{CHAIN, Chain};
use crate::api::vecs::{Entry, REFRESH, entries};
use crate::client::Client;
use crate::x509;

const STORE: &str = "TRUSTED_ROOTS";
/// Publishing and refreshing take moments; this allows for a slow machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Refreshes until every certificate of the CA's chain is trusted.
pub(super) fn ensure(vmafdd: &Client, vmcad: &Client) -> Result<Done, Cause> {
    let mut wanted = Vec::new();
    let chain: Chain = vmcad.get(CHAIN)?;
    for pem in chain.chain {
        for certificate in x509::certificates_from_pem(pem.as_bytes())? {
            wanted.push(alias(&certificate));
        }
    }
    if missing(vmafdd, &wanted)? == 0 {
        return Ok(Done::Found(format!("{} in {STORE}", wanted.len())));
    }
    let started = Instant::now();
    loop {
        // Refused while the directory is not ready yet: the next look may find it so.
        let refreshed = vmafdd.post::<()>(REFRESH, &());
        let missing = missing(vmafdd, &wanted)?;
        if missing == 0 {
            return Ok(Done::Made(format!("{} in {STORE}", wanted.len())));
        }
        if started.elapsed() >= DEADLINE {
            let said = refreshed.err().map_or_else(
                || "vmcad has not published them to vmdird; see the logs of both".to_owned(),
                |error| error.to_string(),
            );
            return Err(Cause::Late(format!(
                "{missing} of the CA's certificates did not reach {STORE} within {} seconds: {said}",
                DEADLINE.as_secs()
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

fn missing(vmafdd: &Client, wanted: &[String]) -> Result<usize, Cause> {
    let present: Vec<Entry> = vmafdd.get(&entries(STORE))?;
    let trusted = |alias: &String| present.iter().any(|entry| entry.alias == *alias);
    Ok(wanted.iter().filter(|alias| !trusted(alias)).count())
}

/// The refresh names an entry by the SHA-1 of its certificate.
fn alias(certificate: &x509::Certificate) -> String {
    certificate.sha1().iter().map(|octet| format!("{octet:02x}")).collect()
}
