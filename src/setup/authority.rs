//! A certificate authority to begin with: self-signed, its key made in the token.

use super::Cause;
use super::step::Done;
use crate::api::ca::{
    AUTHORITIES, AlternativeNames, Authority, Chain, KeyChoice, SELF_SIGNED, SelfSign,
};
use crate::base::KeyAlgorithm;
use crate::client::Client;
use crate::config::NodeSection;
use crate::x509::SubjectFields;

/// Three days: hosts ask for certificates that began a day ago, and none may begin before its CA.
const PREDATE_MINUTES: u32 = 3 * 24 * 60;

/// Makes the CA, if there is none yet. Says what kind of key the active one has.
pub(super) fn ensure(vmcad: &Client, node: &NodeSection) -> Result<(KeyAlgorithm, Done), Cause> {
    if let Some(active) = active(vmcad)? {
        return Ok((active.algorithm, Done::Found(active.subject)));
    }
    let subject = SubjectFields {
        common_name: Some("CA".to_owned()),
        domain_component: Some(node.domain.clone()),
        country: Some("US".to_owned()),
        state: Some("California".to_owned()),
        locality: None,
        organization: Some(node.name.clone()),
        org_unit: Some("VMware Engineering".to_owned()),
    }
    .to_name()?;
    let request = SelfSign {
        subject: hex(subject.as_der()),
        alternative_names: AlternativeNames::default(),
        predate_minutes: PREDATE_MINUTES,
        key: KeyChoice::New,
    };
    let _chain: Chain = vmcad.post(SELF_SIGNED, &request)?;
    let active = active(vmcad)?.ok_or_else(|| {
        Cause::Late("vmcad made a CA and does not list it; see its log".to_owned())
    })?;
    let made = format!("made, {} key in the CA token, {}", active.algorithm, active.subject);
    Ok((active.algorithm, Done::Made(made)))
}

fn active(vmcad: &Client) -> Result<Option<Authority>, Cause> {
    let all: Vec<Authority> = vmcad.get(AUTHORITIES)?;
    Ok(all.into_iter().find(|authority| authority.state == "active"))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
