//! What runs out: the CA, its revocation list, the machine's certificate, and what lies in the stores.

use super::report::{Check, Severity, moment};
use super::seen::{Seen, certificates, said};
use crate::api::ca::{CRL, Crl as CrlWords};
use crate::api::vecs::{Entry, EntryType, STORES, entries, entry};
use crate::base::{Service, UnixTime};
use crate::cli::sealwright::HostName;
use crate::client::Client;
use crate::x509::{Certificate, Crl};

const DAY: UnixTime = 24 * 60 * 60;
const SOON: UnixTime = 30 * DAY;
/// A new CA takes longer: an enterprise has to sign it, and every client has to trust it.
const SOON_FOR_A_CA: UnixTime = 180 * DAY;
/// With more of them, clients of the original hang; here they only take time.
const MANY_LISTS: usize = 1000;

const MACHINE_STORE: &str = "MACHINE_SSL_CERT";
const MACHINE_ALIAS: &str = "__MACHINE_CERT";
const TRUSTED_ROOTS: &str = "TRUSTED_ROOTS";

pub(super) fn all(seen: &Seen<'_>) -> Vec<Check> {
    let vmafdd = seen.client(Service::Vmafdd);
    vec![ca_life(seen), crl(seen), machine(seen, &vmafdd), stores(seen, &vmafdd)]
}

fn not_checked(check: &mut Check, why: &str) {
    check.find(
        Severity::Warning,
        format!("this could not be checked: {why}"),
        "what is not seen is not checked",
        "start the service, then run the doctor again as root or as an operator",
    );
}

fn ca_life(seen: &Seen<'_>) -> Check {
    let mut check =
        Check::new("certificates.ca", "the CA and its chain stay valid for long enough");
    let chain = match &seen.chain {
        Ok(chain) => chain,
        Err(why) => {
            not_checked(&mut check, why);
            return check;
        }
    };
    let Some(first_to_end) = chain.iter().min_by_key(|certificate| certificate.not_after()) else {
        return check;
    };
    let (end, left) = (first_to_end.not_after(), first_to_end.not_after() - seen.now);
    check.saw(format!("until {}", moment(end)));
    let what = format!("{} is valid until {}", first_to_end.subject().to_text(), moment(end));
    let renew = "make a new CA in time: `certool --gencacsr` for an enterprise CA to sign, or `certool --selfca`";
    let leaf_life = UnixTime::from(seen.config.validity_days(seen.config.ca.profile)) * DAY;
    if left < 0 {
        let why = "no certificate of this CA is valid any more, and none can be issued";
        check.find(Severity::Critical, what, why, renew);
    } else if left < SOON_FOR_A_CA {
        let why = "every certificate of this CA ends with it, and every client must learn to trust the next one";
        check.find(Severity::Warning, what, why, renew);
    } else if left < leaf_life {
        let why = "certificates are cut to the life of the CA, so new ones get shorter from now on";
        check.find(Severity::Notice, what, why, renew);
    }
    check
}

fn crl(seen: &Seen<'_>) -> Check {
    let mut check = Check::new("certificates.crl", "the CA's revocation list is fresh");
    let answer = said(seen.client(Service::Vmcad).get::<CrlWords>(CRL))
        .and_then(|words| said(Crl::from_pem(&words.crl)));
    let list = match answer {
        Ok(list) => list,
        Err(why) => {
            not_checked(&mut check, &why);
            return check;
        }
    };
    let begin = list.this_update();
    let Some(end) = list.next_update() else {
        check.saw(format!("of {}, without an end", moment(begin)));
        return check;
    };
    check.saw(format!("of {}, until {}", moment(begin), moment(end)));
    let what = format!("the revocation list is of {} and ends at {}", moment(begin), moment(end));
    let action = "vmcad signs a new one by itself: see in its health and its log why it does not";
    if end < seen.now {
        let why = "clients that check revocation refuse every certificate of this CA";
        check.find(Severity::Critical, what, why, action);
    } else if (end - seen.now) * 10 < end - begin {
        let why = "it should have been replaced by now; when it ends, clients refuse every certificate of this CA";
        check.find(Severity::Warning, what, why, action);
    }
    check
}

fn machine(seen: &Seen<'_>, vmafdd: &Client) -> Check {
    let mut check = Check::new(
        "certificates.machine",
        "the machine's certificate is valid, names this machine and ends in a trusted root",
    );
    let found = said(vmafdd.get::<Entry>(&entry(MACHINE_STORE, MACHINE_ALIAS)))
        .and_then(|found| certificates(&found.pem));
    let roots = said(vmafdd.get::<Vec<Entry>>(&entries(TRUSTED_ROOTS))).map(|roots| {
        roots.iter().filter_map(|root| certificates(&root.pem).ok()).flatten().collect::<Vec<_>>()
    });
    let (chain, roots) = match (found, roots) {
        (Ok(chain), Ok(roots)) => (chain, roots),
        (Err(why), _) | (_, Err(why)) => {
            not_checked(&mut check, &why);
            return check;
        }
    };
    let Some(leaf) = chain.first() else {
        not_checked(&mut check, "the entry holds no certificate");
        return check;
    };
    let replace = format!(
        "have a new one issued (`certool --gencert`), replace {MACHINE_STORE}/{MACHINE_ALIAS} with vecs-cli, and \
         run `service-control --restart gateway`"
    );
    let left = leaf.not_after() - seen.now;
    check.saw(format!("until {}", moment(leaf.not_after())));
    if left < SOON {
        let what = format!("the machine's certificate is valid until {}", moment(leaf.not_after()));
        let severity = if left < 0 { Severity::Critical } else { Severity::Warning };
        check.find(
            severity,
            what,
            "after that no client connects to the gateway",
            replace.as_str(),
        );
    }
    if !names_the_machine(seen, leaf) {
        check.find(
            Severity::Warning,
            format!("the machine's certificate does not name {}", seen.config.node.name),
            "clients refuse a certificate that does not name the machine they asked for, valid as it may be",
            replace.as_str(),
        );
    }
    if let Err(why) = ends_in_trusted_root(&chain, &roots) {
        check.find(
            Severity::Warning,
            format!("the chain of the machine's certificate is not complete: {why}"),
            "clients that trust the root alone cannot verify the certificate",
            "store the full chain in the entry (leaf, VMCA, intermediates), and publish its root",
        );
    }
    check
}

fn names_the_machine(seen: &Seen<'_>, leaf: &Certificate) -> bool {
    let names = leaf.alternative_names();
    match seen.host() {
        Some(HostName::Dns(name)) => names.dns.iter().any(|dns| dns.eq_ignore_ascii_case(&name)),
        Some(HostName::Ip(address)) => names.ip.contains(&address),
        None => true,
    }
}

fn ends_in_trusted_root(chain: &[Certificate], roots: &[Certificate]) -> Result<(), String> {
    let signed = |one: &Certificate, issuer: &Certificate| {
        one.issuer() == issuer.subject()
            && issuer.public_key().is_ok_and(|key| one.verify_signed_by(&key).is_ok())
    };
    for pair in chain.windows(2) {
        if !signed(&pair[0], &pair[1]) {
            let subject = pair[0].subject().to_text();
            return Err(format!("the certificate after {subject} is not its issuer's"));
        }
    }
    match chain.last() {
        Some(last) if roots.iter().any(|root| root == last || signed(last, root)) => Ok(()),
        Some(last) => Err(format!("no trusted root has issued {}", last.subject().to_text())),
        None => Err("it is empty".to_owned()),
    }
}

fn stores(seen: &Seen<'_>, vmafdd: &Client) -> Check {
    let mut check = Check::new("certificates.stores", "no certificate in VECS has expired");
    let names: Vec<String> = match said(vmafdd.get(STORES)) {
        Ok(names) => names,
        Err(why) => {
            not_checked(&mut check, &why);
            return check;
        }
    };
    let mut count = 0;
    for name in names {
        let found: Vec<Entry> = match said(vmafdd.get(&entries(&name))) {
            Ok(found) => found,
            Err(why) => {
                not_checked(&mut check, &format!("{name}: {why}"));
                continue;
            }
        };
        let lists = found.iter().filter(|found| found.entry_type == EntryType::Crl).count();
        if lists > MANY_LISTS {
            check.find(
                Severity::Notice,
                format!("{name} holds {lists} revocation lists"),
                "listing and fetching them takes clients a long time",
                "find out which CAs they are of, and remove those that nobody uses",
            );
        }
        for found in found.iter().filter(|found| found.entry_type != EntryType::Crl) {
            let certificates = certificates(&found.pem).unwrap_or_default();
            count += certificates.len();
            if certificates.iter().any(|certificate| certificate.not_after() < seen.now) {
                check.find(
                    Severity::Notice,
                    format!("{name}/{} holds a certificate that has expired", found.alias),
                    "whoever uses it is refused; monitoring raises alarms on it although nothing else is wrong",
                    "replace it, or delete it with `vecs-cli entry delete`; a trusted root must be removed from the \
                     directory first, or it comes back",
                );
            }
        }
    }
    check.saw(format!("{count} certificates"));
    check
}
