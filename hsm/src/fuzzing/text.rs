//! What an operator writes: which token, where its PIN comes from, the PIN, a key.

use crate::pin::{Extent, LONGEST, read_text};
use crate::{KeyId, PinSource, TokenUri};

mutation::targets! {
    token_uri: uri_seeds, 20_000;
    pin_source: source_seeds, 20_000;
    pin_text: pin_seeds, 10_000;
    key_id: id_seeds, 10_000;
}

/// A URI (RFC 7512) that is taken says a label or a serial number, and is the same when written and read again.
fn token_uri(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let Ok(uri) = text.parse::<TokenUri>() else { return };
    assert!(uri.label.is_some() || uri.serial.is_some());
    assert_eq!(uri.to_string().parse::<TokenUri>().unwrap(), uri);
    assert!(uri.to_string().is_ascii());
}

fn uri_seeds() -> Vec<Vec<u8>> {
    octets_of(&[
        "pkcs11:token=Sealwright%20CA%3B%C3%A9;serial=1;manufacturer=SoftHSM%20project;model=SoftHSM%20v2",
        "pkcs11:serial=0a1b2c",
        "pkcs11:token=ca;slot-id=3",
        "pkcs11:token=ca?pin-value=1234&module-path=/x",
        "pkcs11:token=ca?pin-source=file:/x",
    ])
}

/// A source that is taken is the same when written and read again. A text that is refused may be a PIN, and is not
/// repeated.
fn pin_source(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match text.parse::<PinSource>() {
        Ok(source) => assert_eq!(source.to_string(), text),
        Err(error) => {
            let said = |text: &str| text.parse::<PinSource>().err().map(|error| error.to_string());
            let always = [said("x"), said("fd:x"), said("credential:/")];
            assert!(always.contains(&Some(error.to_string())), "{error}");
        }
    }
}

fn source_seeds() -> Vec<Vec<u8>> {
    octets_of(&[
        "file:/etc/sealwright/pins/ca.pin",
        "fd:7",
        "credential:ca-pin",
        "prompt",
        "1234hunter2",
    ])
}

/// A PIN is one line of text without control characters, and not longer than the longest; of a line nothing behind it
/// is read.
fn pin_text(octets: &[u8]) {
    for extent in [Extent::All, Extent::Line] {
        let mut from = octets;
        let Ok(pin) = read_text(&mut from, &PinSource::Prompt, extent) else { continue };
        let pin = pin.expose_secret();
        assert!(!pin.is_empty() && pin.len() <= LONGEST && !pin.contains(char::is_control));
        assert!(octets.starts_with(pin.as_bytes()));
        let read = octets.len() - from.len();
        match extent {
            Extent::All => assert!(from.is_empty()),
            Extent::Line => assert!(!octets[..read.saturating_sub(1)].contains(&b'\n')),
        }
    }
}

fn pin_seeds() -> Vec<Vec<u8>> {
    let mut seeds = octets_of(&["1234hunter2\n", "1234\r\nthe next line", "Straße 7"]);
    seeds.push(vec![b'9'; LONGEST]);
    seeds
}

/// An identifier that is taken is the same when written and read again.
fn key_id(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(id) = text.parse::<KeyId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
}

fn id_seeds() -> Vec<Vec<u8>> {
    octets_of(&[&KeyId([0xab; 32]).to_string(), &"C0".repeat(32), &"é".repeat(32)])
}

fn octets_of(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
