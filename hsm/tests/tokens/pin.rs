//! A wrong PIN is tried once, and never again by this process.

use std::os::unix::fs::PermissionsExt;

use hsm::{Error, Health};

use crate::bench::Bench;
use crate::facts::said;

pub(crate) fn wrong(bench: &Bench) {
    let file = bench.path("pin");
    let right = std::fs::read_to_string(&file).unwrap();
    let write = |text: &str| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    };
    write("not the PIN, and long enough to be one");
    let token = bench.token();
    let refused = token.check().unwrap_err();
    assert!(matches!(refused, Error::Locked(_)), "{refused}");
    bench.facts.tell("the login", said(&refused));
    // A second try would be with the right PIN, and succeed.
    write(&right);
    for _ in 0..3 {
        assert!(matches!(token.check(), Err(Error::Locked(_))));
        assert!(matches!(token.reload(), Err(Error::Locked(_))));
        assert!(matches!(bench.token().check(), Err(Error::Locked(_))));
    }
    assert!(matches!(token.health(), Health::Alarm(_)));
    bench.facts.tell("tries after it", "none");
}
