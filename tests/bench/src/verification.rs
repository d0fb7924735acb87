//! Whether what was measured is true: certificates verify, differ, and are recorded.

use sealwright::api::ca::Issued;
use sealwright::base::Service;
use sealwright::store::{self, Error, read_file};
use sealwright::x509::certificates_from_pem;

use crate::appliance::{Appliance, judge, text};
use crate::fault::{Outcome, While, fault};
use crate::load::Load;

/// Certificates on record.
pub(crate) fn recorded(appliance: &Appliance) -> Outcome<i64> {
    let database = appliance.layout.database(Service::Vmcad);
    Ok(read_file(&database, |tx| -> Result<i64, Error> {
        tx.query("SELECT COUNT(*) FROM certificates", &[])?
            .first()
            .map_or(Ok(0), |row| row.integer(0))
    })?)
}

/// Judges what was answered: as many certificates more are on record, no two have one serial number, and those that
/// were kept verify (OpenSSL) and are on record octet for octet.
pub(crate) fn verify(appliance: &Appliance, before: i64, load: &Load) -> Outcome<()> {
    let answered = i64::try_from(load.answered)?;
    let now = recorded(appliance)?;
    if now - before != answered {
        return fault(format!("{answered} certificates were answered, {} recorded", now - before));
    }
    let mut serials = load.serials.clone();
    serials.sort_unstable();
    serials.dedup();
    if serials.len() != load.serials.len() || load.serials.len() as u64 != load.answered {
        return fault("certificates share a serial number");
    }
    let root = appliance.root_cer();
    let database = appliance.layout.database(Service::Vmcad);
    for body in &load.kept {
        let issued: Issued = serde_json::from_slice(body)?;
        let pem = issued.chain.first().when("an answer without a certificate")?;
        judge("openssl", &["verify", "-CAfile", text(&root)?], pem.as_bytes())?;
        let certificates = certificates_from_pem(pem.as_bytes())?;
        let der = certificates.first().when("an answer without a certificate")?.as_der();
        let found = read_file(&database, |tx| -> Result<Vec<store::Row>, Error> {
            let sql = "SELECT certificate FROM certificates WHERE serial = $1";
            tx.query(sql, &[issued.serial.as_str().into()])
        })?;
        let [row] = &found[..] else { return fault("a certificate is not recorded") };
        if row.blob(0)? != der {
            return fault("another certificate is recorded than was answered");
        }
    }
    Ok(())
}
