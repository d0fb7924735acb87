//! In service the token's folder is read-only for the process, as the services arrange it with Landlock.

use hsm::provision::Workshop;
use hsm::{Algorithm, Error, Health};
use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus,
};

use crate::harness::{World, scenario};

/// From here on this process may read everything and write nothing.
pub(crate) fn become_read_only(world: &World) {
    let abi = ABI::V3;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .unwrap()
        .create()
        .unwrap()
        .add_rule(PathBeneath::new(PathFd::new("/").unwrap(), AccessFs::from_read(abi)))
        .unwrap()
        .restrict_self()
        .unwrap();
    assert_eq!(status.ruleset, RulesetStatus::FullyEnforced, "this kernel has no Landlock");
    let inside = world.token_folder().join("token.object");
    let opened = std::fs::OpenOptions::new().append(true).open(inside);
    assert_eq!(opened.unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
}

scenario! {
    fn everything_that_a_service_does_works_read_only(world) {
        match world.step() {
            "main" => {
                world.create_token("ca");
                let workshop = world.workshop("ca");
                let reference = workshop.generate_signing_key("issuer", Algorithm::P256).unwrap();
                world.store("issuer", &reference);
                let keys = workshop.generate_generation("wrapping", 1, None).unwrap().keys;
                world.store_generation(&keys);
                drop(workshop);
                let names = || -> Vec<_> {
                    let mut names: Vec<_> = std::fs::read_dir(world.token_folder()).unwrap()
                        .map(|entry| {
                            let path = entry.unwrap().path();
                            (path.clone(), std::fs::read(path).unwrap())
                        })
                        .collect();
                    names.sort();
                    names
                };
                let before = names();
                world.run_step("serve");
                world.run_step("create");
                world.run_step("wrong PIN");
                assert_eq!(names(), before);
            }
            "serve" => {
                become_read_only(world);
                let token = world.token("ca");
                let key = token.signing_key(world.stored("issuer"));
                key.check().unwrap();
                key.sign(hsm::Purpose::Content, b"message").unwrap();
                let wrapping = token.sealing_keys(world.stored_generation());
                wrapping.check().unwrap();
                let sealed = wrapping.seal(b"context", b"secret").unwrap();
                assert_eq!(wrapping.open(b"context", &sealed).unwrap().as_slice(), b"secret");
                let born = wrapping.generate(Algorithm::P256, b"context").unwrap();
                wrapping.sign(b"context", &born.sealed, hsm::Purpose::Tls, hsm::Scheme::EcdsaP256Sha256, b"m").unwrap();
                wrapping.open(b"context", &born.sealed).unwrap();
                wrapping.reseal(&wrapping, b"context", b"another", &born.sealed).unwrap();
                token.random(&mut [0; 16]).unwrap();
                token.reload().unwrap();
                key.sign(hsm::Purpose::Content, b"message").unwrap();
                // A second user of the same token, who comes when it is logged in already.
                let second = world.token("ca").signing_key(world.stored("issuer"));
                for _ in 0..3 {
                    second.sign(hsm::Purpose::Content, b"message").unwrap();
                    key.sign(hsm::Purpose::Content, b"message").unwrap();
                }
                assert!(matches!(token.health(), Health::Serving(_)));
            }
            "create" => {
                become_read_only(world);
                let workshop = Workshop::open(&world.config("ca")).unwrap();
                let made = workshop.generate_signing_key("issuer", Algorithm::P256);
                assert!(made.is_err());
                assert!(workshop.generate_generation("wrapping", 1, None).is_err());
            }
            "wrong PIN" => {
                world.write_pin("ca", "not the PIN", 0o600);
                become_read_only(world);
                let token = world.token("ca");
                for _ in 0..3 {
                    assert!(matches!(token.check(), Err(Error::Locked(_))));
                }
            }
            other => panic!("no step {other}"),
        }
    }
}
