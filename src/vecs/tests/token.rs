//! The registry on a real token. SoftHSM reads its configuration from the environment, so the
//! scenarios run in a child process: this test program again, with one test chosen.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use hsm::provision;

use super::{SERVICE, Stopped, alias, caller, name};
use crate::base::{Actor, Secret};
use crate::store::Store;
use crate::vecs::envelope::context;
use crate::vecs::generations::{CHECK_CONTEXT, CHECK_TEXT};
use crate::vecs::{
    Custody, DestroyedKey, Destruction, Error, GenerationState, KeyWorkshop, MIGRATIONS, NewEntry,
    Vecs, records,
};

mod rewrap;

const IN_CHILD: &str = "SEALWRIGHT_VECS_TEST_CHILD";

#[test]
fn the_registry_on_a_real_token() {
    in_child("the_registry_on_a_real_token", || {
        the_first_keys_are_made_once_when_the_token_comes();
        data_of_several_generations_opens_and_new_data_is_under_the_newest();
        an_appliance_of_a_former_version_keeps_its_keys();
        a_key_seals_as_often_as_it_may_and_opens_ever_after();
    });
}

/// Runs the scenarios of a test of this module in a process with tokens of its own; what it printed.
fn in_child(test: &str, scenarios: impl FnOnce()) -> String {
    if std::env::var_os(IN_CHILD).is_some() {
        scenarios();
        return String::new();
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    fs::write(&configuration, text).unwrap();
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("vecs::tests::token::{test}"), "--nocapture"])
        .args(["--include-ignored"])
        .env("SOFTHSM2_CONF", configuration)
        .env(IN_CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let complaint = String::from_utf8_lossy(&run.stderr);
    // A renamed test would make a child that runs nothing and succeeds.
    let ran = said.contains("1 passed");
    assert!(run.status.success() && ran, "{said}\n{complaint}");
    said.into_owned()
}

/// SoftHSM where Debian puts it, or where `SOFTHSM2_MODULE` says.
fn module() -> PathBuf {
    std::env::var_os("SOFTHSM2_MODULE")
        .unwrap_or_else(|| "/usr/lib/softhsm/libsofthsm2.so".into())
        .into()
}

/// A workshop in the same process.
struct HereAndNow(hsm::TokenConfig);

impl HereAndNow {
    fn made(&self, number: u32) -> Result<hsm::KeyGeneration, hsm::Error> {
        let workshop = provision::Workshop::open(&self.0)?;
        Ok(workshop.generate_generation("keys of a test", number, None)?.keys)
    }
}

impl KeyWorkshop for HereAndNow {
    fn generate_generation(&self, number: u32) -> Result<hsm::KeyGeneration, hsm::Error> {
        self.made(number)
    }

    fn destroy_generation(&self, keys: &hsm::KeyGeneration) -> Result<Destruction, hsm::Error> {
        let destroyed = provision::Workshop::open(&self.0)?.destroy_generation(keys)?;
        let keys = destroyed.keys.into_iter().map(|key| DestroyedKey {
            id: key.id,
            gone_before: key.answers.is_empty(),
            destroyed: key.answers.join("; "),
            found_afterwards: key.left as u64,
            later_use: key.refusals.join("; "),
        });
        Ok(Destruction { keys: keys.collect() })
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    config: hsm::TokenConfig,
}

impl Fixture {
    fn without_token(label: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin");
        fs::write(&pin, hsm::Pin::random().unwrap().expose_secret()).unwrap();
        fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
        let config = hsm::TokenConfig {
            module: module(),
            uri: format!("pkcs11:token={label}").parse().unwrap(),
            pin: hsm::PinSource::File(pin),
        };
        Self { folder, config }
    }

    fn new(label: &str) -> Self {
        let fixture = Self::without_token(label);
        fixture.create_token(label);
        fixture
    }

    fn create_token(&self, label: &str) {
        let so_pin = hsm::Pin::random().unwrap();
        let pin = self.config.pin.read().unwrap();
        provision::create_token(&module(), label, &so_pin, &pin).unwrap();
    }

    fn store(&self, migrations: &[&str]) -> Store {
        Store::open(&self.folder.path().join("vecs.db"), migrations).unwrap()
    }

    fn open(&self, former_key: Option<hsm::KeyId>, seals_per_key: Option<u64>) -> Arc<Vecs> {
        let custody = Custody {
            token: hsm::Token::new(self.config.clone()),
            workshop: Box::new(HereAndNow(self.config.clone())),
            former_key,
            seals_per_key,
        };
        Vecs::open(self.store(MIGRATIONS), custody, SERVICE, Arc::new(Stopped)).unwrap()
    }

    fn journal_of_keys(&self) -> Vec<String> {
        let all = self.store(MIGRATIONS).read(records::journalled).unwrap();
        all.into_iter()
            .filter(|(act, ..)| act.starts_with("sealing-keys."))
            .map(|(act, reference, outcome)| format!("{act} {reference} {outcome}"))
            .collect()
    }

    /// Generation that the key of an entry says it is sealed under.
    fn generation(&self, text: &str) -> u32 {
        let sealed = self
            .store(MIGRATIONS)
            .read(|tx| records::sealed_key(tx, 4, &alias(text)))
            .unwrap()
            .unwrap();
        hsm::Header::read(&sealed.octets).unwrap().generation
    }
}

fn add(vecs: &Vecs, text: &str) -> Result<(), Error> {
    let new = NewEntry::read(Some(text), None, Some(&secret(text)))?;
    vecs.writable(&caller(SERVICE), &name("machine"))?.create(new).map(drop)
}

fn secret(text: &str) -> Secret {
    Secret::new(format!("the secret of {text}").into_bytes())
}

#[track_caller]
fn assert_opens(vecs: &Vecs, text: &str) {
    let key = vecs.readable_key(&caller(SERVICE), &name("machine"), &alias(text)).unwrap();
    assert_eq!(key.open().unwrap().expose_secret(), secret(text).expose_secret());
}

fn the_first_keys_are_made_once_when_the_token_comes() {
    let fixture = Fixture::without_token("late");
    let vecs = fixture.open(None, None);
    assert!(vecs.ensure_keys().is_err() && add(&vecs, "early").is_err());
    fixture.create_token("late");
    // Nobody has made the keys yet, and somebody wants to store something: from all sides at once.
    std::thread::scope(|scope| {
        for text in ["one", "two", "three", "four"] {
            let vecs = &vecs;
            scope.spawn(move || add(vecs, text).unwrap());
        }
    });
    vecs.ensure_keys().unwrap();
    let all = vecs.generations().unwrap();
    assert_eq!((all.len(), all[0].state), (1, GenerationState::Active));
    assert!(all[0].wrapping.is_some_and(|wrapping| wrapping != all[0].sealing));
    assert!(all[0].seals >= 5, "four entries and the check value");
    assert_eq!(vecs.standing().token_fault, None);
    let (intended, done) = ("generation:1 intended", "generation:1 done");
    let expected = [intended, done].map(|end| format!("sealing-keys.generate {end}"));
    assert_eq!(fixture.journal_of_keys(), expected);
    drop(vecs);

    let again = fixture.open(None, None);
    again.ensure_keys().unwrap();
    assert_opens(&again, "three");
    let now = again.generations().unwrap();
    assert_eq!((now.len(), now[0].sealing), (1, all[0].sealing));
    assert_eq!(fixture.journal_of_keys(), expected);
}

fn data_of_several_generations_opens_and_new_data_is_under_the_newest() {
    let fixture = Fixture::new("dual");
    let vecs = fixture.open(None, None);
    add(&vecs, "first").unwrap();
    for number in 2..=3 {
        let made = vecs.envelope.generations.make_next(&Actor::Job("test")).unwrap();
        assert_eq!(made.number, number);
        add(&vecs, &format!("number {number}")).unwrap();
        assert_eq!(fixture.generation(&format!("number {number}")), number);
    }
    assert_eq!(fixture.generation("first"), 1);
    drop(vecs);

    let vecs = fixture.open(None, None);
    for text in ["first", "number 2", "number 3"] {
        assert_opens(&vecs, text);
    }
    assert_eq!(vecs.standing().token_fault, None);
    let states: Vec<_> = vecs.generations().unwrap().iter().map(|row| row.state).collect();
    use GenerationState::{Active, Retiring};
    assert_eq!(states, [Retiring, Retiring, Active]);
    assert_eq!(vecs.envelope.generations.active().unwrap().generation().number, 3);
}

fn an_appliance_of_a_former_version_keeps_its_keys() {
    let fixture = Fixture::new("former");
    let sealing = HereAndNow(fixture.config.clone()).made(1).unwrap().sealing;
    {
        let token = hsm::Token::new(fixture.config.clone());
        let keys = token.sealing_keys(hsm::KeyGeneration { number: 1, sealing, wrapping: sealing });
        let check = keys.seal(CHECK_CONTEXT, CHECK_TEXT).unwrap();
        let place = context(4, &[1; 16], 1, &alias("old"));
        let octets = keys.seal(&place, secret("old").expose_secret()).unwrap();
        fixture
            .store(&MIGRATIONS[..2])
            .write::<_, crate::store::Error>(move |tx| {
                tx.execute(
                    "INSERT INTO wrapping_key_check (id, sealed) VALUES (1, $1)",
                    &[check.into()],
                )?;
                let machine = "machine".into();
                tx.execute("UPDATE last_store SET id = 4", &[])?;
                tx.execute(
                    "INSERT INTO store (id, name, name_folded, owner) VALUES (4, $1, $1, $2)",
                    &[machine, i64::from(SERVICE).into()],
                )?;
                tx.execute(
                    "INSERT INTO entry (id, store_id, alias, alias_folded, kind, pem, auto_refresh,
                                        created_at, sealed_id, sealed_version, sealed_key)
                     VALUES (1, 4, 'old', 'old', 2, '', 0, 0, $1, 1, $2)",
                    &[vec![1; 16].into(), octets.into()],
                )
            })
            .unwrap();
    }
    let vecs = fixture.open(Some(sealing), None);
    vecs.ensure_keys().unwrap();
    let all = vecs.generations().unwrap();
    assert_eq!((all.len(), all[0].sealing, all[0].wrapping), (1, sealing, None));
    assert_opens(&vecs, "old");
    add(&vecs, "new").unwrap();
    assert_eq!(vecs.standing().token_fault, None);
    assert!(matches!(vecs.envelope.generations.to_wrap(1), Err(Error::NoWrappingKey)));

    vecs.envelope.generations.make_next(&Actor::Job("test")).unwrap();
    vecs.envelope.generations.to_wrap(1).unwrap();
    assert_opens(&vecs, "old");
    assert_opens(&vecs, "new");
}

fn a_key_seals_as_often_as_it_may_and_opens_ever_after() {
    let fixture = Fixture::new("bounded");
    let bound = 6;
    let mut stored = Vec::new();
    // A restart gives nothing back.
    for round in 0..3 {
        let vecs = fixture.open(None, Some(bound));
        for number in 0..3 {
            let text = format!("{round}-{number}");
            match add(&vecs, &text) {
                Ok(()) => stored.push(text),
                Err(refused) => {
                    assert!(matches!(refused, Error::Limit(_)), "{refused:?}");
                    assert!(refused.to_string().contains("sealwright rewrap"), "{refused}");
                }
            }
        }
    }
    assert_eq!(stored.len(), 5, "the check value was one use");
    let vecs = fixture.open(None, Some(bound));
    assert_eq!(vecs.generations().unwrap()[0].seals, bound);
    let standing = vecs.standing();
    assert_eq!(standing.token_fault, None);
    assert!(standing.note.unwrap().contains("sealwright rewrap"));
    stored.iter().for_each(|text| assert_opens(&vecs, text));

    // New keys have all their uses.
    vecs.envelope.generations.make_next(&Actor::Job("test")).unwrap();
    add(&vecs, "again").unwrap();
    assert_eq!(vecs.standing().note, None);
}
