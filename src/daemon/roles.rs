//! From the user names in the configuration to the role table.

use crate::access::Roles;
use crate::config::AccessSection;

/// A name in `[access]` that the system does not know.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "[access] {key} in sealwright.toml names the user '{name}', whom this system does not know; create the user or remove the name"
)]
pub(super) struct UnknownUser {
    key: &'static str,
    name: String,
}

/// The service's own user administers as well: background jobs and the gateway run under it. Its word about
/// clients is taken for the same reason.
///
/// # Errors
/// [`UnknownUser`]: a typing error must not silently leave somebody without a right.
pub(crate) fn resolve(
    section: &AccessSection,
    service_uid: u32,
    uid_of: impl Fn(&str) -> Option<u32>,
) -> Result<Roles, UnknownUser> {
    let resolve = |key, names: &[String]| {
        names
            .iter()
            .map(|name| uid_of(name).ok_or_else(|| UnknownUser { key, name: name.clone() }))
            .collect::<Result<Vec<_>, _>>()
    };
    let mut administrators = resolve("operators", &section.operators)?;
    administrators.push(service_uid);
    let requesters = resolve("requesters", &section.requesters)?;
    let clients = section.clients.iter().map(|(name, print)| (name.clone(), *print)).collect();
    Ok(Roles::new(administrators, requesters).with_clients(service_uid, clients))
}

/// The user id behind a name, as the system's user database says.
pub(crate) fn uid_of(name: &str) -> Option<u32> {
    uzers::get_user_by_name(name).map(|user| user.uid())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{resolve, uid_of};
    use crate::access::{Issue, ManageCa};
    use crate::base::Fingerprint;
    use crate::config::AccessSection;

    fn known(name: &str) -> Option<u32> {
        match name {
            "olga" => Some(1000),
            "rita" => Some(2000),
            _ => None,
        }
    }

    #[test]
    fn names_become_the_users_of_the_role_table() {
        let section = AccessSection {
            operators: vec!["olga".to_owned()],
            requesters: vec!["rita".to_owned()],
            clients: [("web1".parse().unwrap(), Fingerprint([1; 32]))].into(),
        };
        let roles = resolve(&section, 500, known).unwrap();
        for (uid, may_issue, may_manage) in [
            (0, true, true),
            (500, true, true),
            (1000, true, true),
            (2000, true, false),
            (3000, false, false),
        ] {
            let caller = roles.caller(uid, None);
            assert_eq!(caller.permit::<Issue>().is_ok(), may_issue, "uid {uid}");
            assert_eq!(caller.permit::<ManageCa>().is_ok(), may_manage, "uid {uid}");
            let clients = roles.clients_of(uid);
            assert_eq!(clients.is_ok(), uid == 500, "uid {uid}");
            if let Ok(clients) = clients {
                clients.find(&"web1".parse().unwrap(), &Fingerprint([1; 32])).unwrap();
            }
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_its_place() {
        let section =
            AccessSection { requesters: vec!["rtia".to_owned()], ..AccessSection::default() };
        let refusal = resolve(&section, 500, known).unwrap_err().to_string();
        assert!(refusal.contains("requesters") && refusal.contains("rtia"), "{refusal}");
    }

    #[test]
    fn the_system_knows_root() {
        assert_eq!(uid_of("root"), Some(0));
    }
}
