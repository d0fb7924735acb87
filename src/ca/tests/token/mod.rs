//! The room on a real token. SoftHSM reads its configuration from the environment, so the
//! scenarios run in a child process: this test program again, with one test chosen.

mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::Ordering;

use super::DAY;
use crate::access::{Issue, ManageCa, Permit};
use crate::base::Secret;
use crate::ca::{
    Authority, AuthorityState, CaRequest, Error, Installation, KeyChoice, NewRoot, Order, Request,
};
use crate::x509::{AlternativeNames, Certificate, Chain, SubjectFields};
use fixture::{Fixture, token_config};

const IN_CHILD: &str = "SEALWRIGHT_CA_TEST_CHILD";

#[test]
fn the_ca_on_a_real_token() {
    if std::env::var_os(IN_CHILD).is_some() {
        a_ca_lives();
        a_ca_is_written_down_for_the_policy_before_anything_is_signed_for_it();
        a_token_fault_leaves_everything_as_it_was();
        a_full_disk_releases_nothing_and_loses_nothing();
        a_key_from_a_file_comes_in_only_where_allowed_and_stays_marked();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    fs::write(
        &configuration,
        format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()),
    )
    .unwrap();
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ca::tests::token::the_ca_on_a_real_token", "--nocapture"])
        .env("SOFTHSM2_CONF", configuration)
        .env(IN_CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let complaint = String::from_utf8_lossy(&run.stderr);
    // A renamed test would make a child that runs nothing and succeeds.
    let ran = said.contains("1 passed");
    assert!(run.status.success() && ran, "{said}\n{complaint}");
}

fn requester() -> Permit<Issue> {
    Permit::for_own_job("test")
}

fn manager() -> Permit<ManageCa> {
    Permit::for_own_job("test")
}

fn new_root(key: KeyChoice) -> NewRoot {
    NewRoot {
        subject: SubjectFields {
            common_name: Some("CA".to_owned()),
            domain_component: Some("vsphere.local".to_owned()),
            ..SubjectFields::default()
        }
        .to_name()
        .unwrap(),
        alternative_names: AlternativeNames::default(),
        predate_minutes: 4320,
        key,
    }
}

fn installation(chain: &str) -> Installation {
    Installation { chain: chain.to_owned(), private_key: None }
}

fn pem(chain: &Chain) -> String {
    chain.certificates().iter().map(Certificate::to_pem).collect()
}

fn states(authority: &Authority) -> Vec<AuthorityState> {
    let found = authority.authorities().unwrap();
    found.into_iter().map(|found| found.state).collect()
}

fn code<T>(result: Result<T, Error>) -> u32 {
    result.err().map_or(0, |refusal| refusal.code())
}

fn a_ca_lives() {
    use AuthorityState::{Active, Retired, Superseded};
    let fixture = Fixture::new("lives");
    let (authority, told) = fixture.open();
    let dns = "subjectAltName = DNS:m.example.test";
    assert_eq!(code(fixture.issue(&authority, dns)), 70000);
    assert!(!authority.standing().active_ca);

    // Self-signed.
    let mut early = new_root(KeyChoice::Present);
    early.predate_minutes = 10_081;
    assert_eq!(code(authority.self_signed(&manager(), &early)), 70003);
    let own = authority.self_signed(&manager(), &new_root(KeyChoice::Present)).unwrap();
    told.try_recv().expect("the publisher is told");
    let root_cer = &fixture.settings.root_cer;
    assert_eq!(fs::read_to_string(root_cer).unwrap(), pem(&own));
    let mode = fs::metadata(root_cer).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let issued = fixture.issue(&authority, dns).unwrap();
    assert_eq!((issued.above().len(), issued.serial.len()), (0, 32));
    fixture.verify(&issued, &own, &authority);
    let standing = authority.standing();
    assert!(standing.active_ca && standing.token_fault.is_none(), "{standing:?}");

    // Intermediate, with the same key.
    let wanted = CaRequest {
        subject: own.ca().subject().clone(),
        alternative_names: AlternativeNames::default(),
        key: KeyChoice::Present,
    };
    let csr = authority.request_root(&manager(), &wanted).unwrap();
    let signed = fixture.enterprise_signs(&csr, "nameConstraints=permitted;DNS:example.test");
    let chain = authority.install_root(&manager(), &installation(&signed)).unwrap();
    assert_eq!(states(&authority), [Superseded, Active]);
    let issued = fixture.issue(&authority, dns).unwrap();
    assert_eq!(issued.above(), [chain.ca().clone()]);
    fixture.verify(&issued, &chain, &authority);
    let outside = fixture.issue(&authority, "subjectAltName = DNS:m.other.test");
    assert_eq!(code(outside), 70012);
    let published = authority.publications().unwrap();
    let lists: Vec<bool> = published.iter().map(|found| found.crl.is_some()).collect();
    assert_eq!(lists, [true, true, false], "own, VMCA, enterprise root");

    // What is refused changes nothing; what is there already succeeds.
    let signatures = fixture.drafts("done");
    authority.install_root(&manager(), &installation(&signed)).unwrap();
    assert_eq!(fixture.drafts("done"), signatures);
    let (vmca, root) = signed.split_at(signed.rfind("-----BEGIN").unwrap());
    let mut with_key = installation(&signed);
    with_key.private_key = Some(Secret::new(fs::read(fixture.requester.file("rsa.key")).unwrap()));
    for (says, installation, expected) in [
        ("no PEM", installation("hello"), 11),
        ("the root alone", installation(root), 70037),
        ("VMCA alone", installation(vmca), 70062),
        ("upside down", installation(&format!("{root}{vmca}")), 70063),
        ("a key in the clear", with_key, 70009),
    ] {
        let refusal = authority.install_root(&manager(), &installation).unwrap_err();
        assert_eq!(refusal.code(), expected, "{says}: {refusal:?}");
    }
    assert_eq!(states(&authority), [Superseded, Active]);

    // Revocation lists: not before half their life, then one for each CA.
    let number = |authority: &Authority| authority.crl().unwrap().sha1();
    let before = number(&authority);
    authority.refresh_crls().unwrap();
    assert_eq!(number(&authority), before);
    fixture.clock.0.store(16 * DAY, Ordering::Relaxed);
    let lists = fixture.drafts("done");
    authority.refresh_crls().unwrap();
    assert_eq!(fixture.drafts("done"), lists + 2);
    assert_ne!(number(&authority), before);
    // A list that nobody renewed, and a CA that has expired while it ran.
    for (days, says) in [(60, "revocation list has expired"), (1001, "CA certificate")] {
        fixture.clock.0.store(days * DAY, Ordering::Relaxed);
        let standing = authority.standing();
        assert!(standing.ca_fault.as_ref().unwrap().contains(says), "{standing:?}");
        assert!(standing.token_fault.is_none(), "{standing:?}");
    }
    assert_eq!(code(fixture.issue(&authority, dns)), 70002);
    // The clock was wrong and is put right: lists from the future are replaced at once.
    fixture.clock.0.store(0, Ordering::Relaxed);
    authority.refresh_crls().unwrap();
    assert_eq!(fixture.drafts("done"), lists + 4);
    authority.refresh_crls().unwrap();
    assert_eq!(fixture.drafts("done"), lists + 4);

    // Back to the self-signed chain while others issue; a new start; a retirement.
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let csr = fixture.requester.csr("ec", "/CN=machine", dns);
                    let order = |_| Order {
                        permit: requester(),
                        request: Request::parse(&csr, None, None).unwrap(),
                    };
                    // One by one, and together.
                    let alone = (0..3).map(order).map(|order| authority.issue(order));
                    let alone: Vec<_> = alone.collect();
                    alone
                        .into_iter()
                        .chain(authority.issue_each((0..5).map(order).collect()))
                        .map(Result::unwrap)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        authority.install_root(&manager(), &installation(&pem(&own))).unwrap();
        for thread in threads {
            for issued in thread.join().unwrap() {
                let ca = if issued.above().is_empty() { own.ca() } else { chain.ca() };
                issued.leaf.verify_signed_by(&ca.public_key().unwrap()).unwrap();
                assert!(issued.above().is_empty() || issued.above()[0] == *chain.ca());
            }
        }
    });
    assert_eq!(states(&authority), [Active, Superseded]);
    drop(authority);
    fs::write(root_cer, "damaged").unwrap();
    let (authority, _told) = fixture.open();
    assert_eq!(fs::read_to_string(root_cer).unwrap(), pem(&own));
    assert_eq!(code(authority.retire(&manager(), 1)), 70098);
    assert_eq!(code(authority.retire(&manager(), 9)), 70097);
    authority.retire(&manager(), 2).unwrap();
    assert_eq!(states(&authority), [Active, Retired]);
    assert_eq!(authority.publications().unwrap().len(), 1);
    fixture.verify(&fixture.issue(&authority, dns).unwrap(), &own, &authority);

    assert_eq!((fixture.drafts("intended"), fixture.drafts("failed")), (0, 0));
    assert_eq!(authority.standing().unfinished_intents, 0);
    fixture.everything_passes_the_policy();
}

fn a_ca_is_written_down_for_the_policy_before_anything_is_signed_for_it() {
    let dns = "subjectAltName = DNS:m.example.test";
    let fixture = Fixture::new("written");
    let (authority, told) = fixture.open();
    let own = authority.self_signed(&manager(), &new_root(KeyChoice::Present)).unwrap();
    let names = || {
        let found = fs::read_dir(fixture.issuers()).unwrap();
        found.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    let key = &authority.keys().unwrap()[0];
    let sha256 = &authority.authorities().unwrap()[0].sha256;
    assert_eq!(names(), [format!("{}-{sha256}.der", key.id).as_str()]);
    let file = fixture.issuers().join(&names()[0]);
    assert_eq!(fs::read(&file).unwrap(), own.ca().as_der());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);

    // A chain whose issuer cannot be written down changes nothing, not even the drafts.
    let wanted = CaRequest {
        subject: own.ca().subject().clone(),
        alternative_names: AlternativeNames::default(),
        key: KeyChoice::Present,
    };
    let csr = authority.request_root(&manager(), &wanted).unwrap();
    let signed = fixture.enterprise_signs(&csr, "");
    while told.try_recv().is_ok() {}
    let drafts = || ["done", "failed", "intended"].map(|state| fixture.drafts(state));
    let before = drafts();
    let aside = fixture.requester.file("aside");
    fs::rename(fixture.issuers(), &aside).unwrap();
    fs::write(fixture.issuers(), "no folder").unwrap();
    let refusal = authority.install_root(&manager(), &installation(&signed)).unwrap_err();
    assert_eq!(refusal.code(), 70032, "{refusal:?}");
    assert!(crate::base::sentences(&refusal).contains("issuers"), "{refusal:?}");
    assert_eq!(drafts(), before);
    assert_eq!(states(&authority), [AuthorityState::Active]);
    assert_eq!(authority.chain().unwrap().certificates(), own.certificates());
    assert!(told.try_recv().is_err());
    fs::remove_file(fixture.issuers()).unwrap();
    fs::rename(&aside, fixture.issuers()).unwrap();
    let chain = authority.install_root(&manager(), &installation(&signed)).unwrap();
    assert_eq!(names().len(), 2);
    drop(authority);

    // An appliance of an older version has no folder: it is filled at start.
    fs::remove_dir_all(fixture.issuers()).unwrap();
    let (authority, _told) = fixture.open();
    assert_eq!(names().len(), 2);
    drop(authority);

    // Where that fails, nothing is signed, and the next signature tries again.
    fs::remove_dir_all(fixture.issuers()).unwrap();
    fs::write(fixture.issuers(), "no folder").unwrap();
    let (authority, _told) = fixture.open();
    let before = drafts();
    assert_eq!(code(fixture.issue(&authority, dns)), 70032);
    assert_eq!(code(authority.renew_crls(&manager())), 70032);
    assert_eq!(drafts(), before);
    fs::remove_file(fixture.issuers()).unwrap();
    fixture.verify(&fixture.issue(&authority, dns).unwrap(), &chain, &authority);
    assert_eq!(names().len(), 1);
    authority.refresh_crls().unwrap();
    assert_eq!(names().len(), 2);
    fixture.everything_passes_the_policy();
}

fn a_token_fault_leaves_everything_as_it_was() {
    let dns = "subjectAltName = DNS:m.example.test";
    let fixture = Fixture::new("fault");
    let (authority, _told) = fixture.open();
    let own = authority.self_signed(&manager(), &new_root(KeyChoice::Present)).unwrap();
    let wanted = CaRequest {
        subject: own.ca().subject().clone(),
        alternative_names: AlternativeNames::default(),
        key: KeyChoice::Present,
    };
    let csr = authority.request_root(&manager(), &wanted).unwrap();
    let signed = fixture.enterprise_signs(&csr, "");
    drop(authority);

    // A token that answers and has not our key, and no workshop.
    let other = Fixture::new("stranger");
    let (authority, told) = fixture.open_with(other.token.clone(), None);
    assert_eq!(code(fixture.issue(&authority, dns)), 70032);
    assert_eq!(code(authority.install_root(&manager(), &installation(&signed))), 70032);
    let fresh = new_root(KeyChoice::New);
    assert_eq!(code(authority.self_signed(&manager(), &fresh)), 70032);
    let present = new_root(KeyChoice::Present);
    assert_eq!(code(authority.self_signed(&manager(), &present)), 70032);
    assert_eq!(code(authority.renew_crls(&manager())), 70032);
    assert!(authority.standing().token_fault.is_some());
    assert_eq!(states(&authority), [AuthorityState::Active]);
    assert_eq!(authority.chain().unwrap().certificates(), own.certificates());
    assert!(told.try_recv().is_err());
    // Leaf, self-signed, list: each with its outcome. The chain was not even written down.
    assert_eq!((fixture.drafts("intended"), fixture.drafts("failed")), (0, 3));
    assert_eq!(authority.standing().unfinished_intents, 0);
    let pending = "SELECT COUNT(*) FROM authorities WHERE state = $1";
    assert_eq!(fixture.count(pending, "pending"), 0);
    drop(authority);

    // The token comes back, and everything goes on.
    let (authority, _told) = fixture.open();
    fixture.verify(&fixture.issue(&authority, dns).unwrap(), &own, &authority);
    authority.install_root(&manager(), &installation(&signed)).unwrap();

    // The enterprise renews its root: VMCA's certificate now stands in two chains, and is published
    // once, with its newest list.
    let vmca = &signed[..signed.rfind("-----BEGIN").unwrap()];
    let renewed = fixture.enterprise_signs(&csr, "");
    let root = &renewed[renewed.rfind("-----BEGIN").unwrap()..];
    let chain =
        authority.install_root(&manager(), &installation(&format!("{vmca}{root}"))).unwrap();
    let published = authority.publications().unwrap();
    let ours: Vec<_> = published.iter().filter(|found| found.certificate == *chain.ca()).collect();
    assert_eq!((ours.len(), published.len()), (1, 4));
    assert_eq!(ours[0].crl, authority.crl().ok());

    // A token that is not there at all.
    let absent = token_config("absent", fixture.requester.file("pin"));
    let (authority, _told) = fixture.open_with(absent, None);
    let refusal = fixture.issue(&authority, dns).unwrap_err();
    assert_eq!(refusal.code(), 70032);
    assert!(crate::base::sentences(&refusal).contains("absent"), "{refusal:?}");
}

fn a_full_disk_releases_nothing_and_loses_nothing() {
    let dns = "subjectAltName = DNS:m.example.test";
    let fixture = Fixture::new("full");
    let (authority, _told) = fixture.open();
    let own = authority.self_signed(&manager(), &new_root(KeyChoice::Present)).unwrap();
    // SQLite's own way to say that no page is left.
    let limit = |pages: &'static str| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        let set: Result<(), crate::store::Error> =
            authority.store.write(move |tx| tx.query(&sql, &[]).map(|_| ()));
        set.unwrap();
    };
    let issued_before = fixture.count("SELECT COUNT(*) FROM certificates WHERE serial <> $1", "");
    limit("1");
    let attempts: Vec<Result<(), u32>> = (0..40)
        .map(|_| {
            let result = fixture.issue(&authority, dns);
            result.map(|_| ()).map_err(|refusal| refusal.code())
        })
        .collect();
    let answered = attempts.iter().filter(|attempt| attempt.is_ok()).count();
    assert!(attempts.contains(&Err(70022)), "{attempts:?}");
    assert!(attempts.iter().all(|attempt| matches!(attempt, Ok(()) | Err(70022))));
    // Whatever was answered is recorded, and what is recorded was answered.
    let issued = fixture.count("SELECT COUNT(*) FROM certificates WHERE serial <> $1", "");
    assert_eq!(usize::try_from(issued - issued_before).unwrap(), answered);
    let unknown = usize::try_from(fixture.drafts("intended")).unwrap();
    assert_eq!(authority.standing().unfinished_intents, unknown);

    limit("1000000");
    fixture.verify(&fixture.issue(&authority, dns).unwrap(), &own, &authority);
    drop(authority);
    let (authority, _told) = fixture.open();
    assert_eq!(authority.standing().unfinished_intents, unknown);
}

fn a_key_from_a_file_comes_in_only_where_allowed_and_stays_marked() {
    let mut fixture = Fixture::new("import");
    fixture.settings.allow_imported_keys = true;
    let (authority, _told) = fixture.open();
    let csr = fixture.requester.csr("ec", "/CN=Old VMCA", "");
    let signed = fixture.enterprise_signs(&csr, "");
    let with = |key: &str| Installation {
        chain: signed.clone(),
        private_key: Some(Secret::new(fs::read(fixture.requester.file(key)).unwrap())),
    };
    assert_eq!(code(authority.install_root(&manager(), &with("rsa.key"))), 70037);
    fs::write(fixture.requester.file("no.key"), "no key").unwrap();
    assert_eq!(code(authority.install_root(&manager(), &with("no.key"))), 70065);
    let chain = authority.install_root(&manager(), &with("ec.key")).unwrap();
    let found = authority.authorities().unwrap();
    assert!(found.len() == 1 && found[0].imported);
    let issued = fixture.issue(&authority, "subjectAltName = DNS:m.example.test").unwrap();
    fixture.verify(&issued, &chain, &authority);
}
