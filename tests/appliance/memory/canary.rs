//! Secrets made for a test, and the forms in which they could lie around.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use aho_corasick::AhoCorasick;

use crate::harness::{judge, text};

/// Octets of a secret number that must be found together. Nothing else holds these by chance.
const PIECE: usize = 16;

/// A secret in every form that the search knows.
pub struct Canary {
    pub name: String,
    /// The name of a form and the octets to look for.
    forms: Vec<(String, Vec<u8>)>,
}

/// A form of a secret, found: the name of the secret, and that of the form.
pub type Found<'a> = (&'a str, &'a str);

impl Canary {
    /// The private key in this PEM file: EC or RSA, unencrypted.
    pub fn key(path: &Path) -> Self {
        let numbers = secret_numbers(path);
        let mut forms = Vec::new();
        for (number, octets) in &numbers {
            forms.extend(forms_of(number, octets));
        }
        for (syntax, words) in [
            ("PKCS#8", &["pkcs8", "-topk8", "-nocrypt"][..]),
            // SEC 1 or PKCS#1.
            ("traditional", &["pkey", "-traditional"]),
        ] {
            let output = Command::new("openssl")
                .args(words)
                .args(["-in", text(path), "-outform", "DER"])
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            let der = output.stdout;
            for line in secret_lines(&der, &numbers) {
                forms.push((format!("PEM line, {syntax}"), line.into_bytes()));
            }
            forms.push((format!("DER, {syntax}"), der));
        }
        Self::new(path.file_name().unwrap().to_str().unwrap(), forms)
    }

    /// The PIN in this file: a line of hexadecimal digits.
    pub fn pin(path: &Path) -> Self {
        let line = std::fs::read_to_string(path).unwrap();
        let pin = line.trim();
        let mut forms = forms_of("PIN", pin.as_bytes());
        forms.extend(forms_of("PIN, decoded", &unhex(pin)));
        Self::new(path.file_name().unwrap().to_str().unwrap(), forms)
    }

    fn new(name: &str, forms: Vec<(String, Vec<u8>)>) -> Self {
        assert!(forms.iter().all(|(_, octets)| octets.len() >= PIECE));
        Self { name: name.to_owned(), forms }
    }
}

/// All forms of some secrets, looked for at once.
pub struct Search {
    /// Names of secret and form, in the order of the patterns.
    names: Vec<(String, String)>,
    patterns: AhoCorasick,
}

impl Search {
    pub fn of(canaries: Vec<Canary>) -> Self {
        let (mut names, mut patterns) = (Vec::new(), Vec::new());
        for Canary { name, forms } in canaries {
            for (form, octets) in forms {
                names.push((name.clone(), form));
                patterns.push(octets);
            }
        }
        Self { names, patterns: AhoCorasick::new(patterns).unwrap() }
    }

    /// What these octets hold, each once.
    pub fn found_in(&self, octets: &[u8]) -> BTreeSet<Found<'_>> {
        self.patterns
            .find_iter(octets)
            .map(|hit| {
                let (name, form) = &self.names[hit.pattern().as_usize()];
                (&name[..], &form[..])
            })
            .collect()
    }

    /// Octets of the longest form.
    pub fn longest(&self) -> usize {
        self.patterns.max_pattern_len()
    }
}

/// A secret number as it is, reversed as in the limbs of a big number, in hex and in base64. Of each the beginning, the
/// middle and the end: what is partly overwritten is still a leak.
fn forms_of(number: &str, octets: &[u8]) -> Vec<(String, Vec<u8>)> {
    let reversed: Vec<u8> = octets.iter().rev().copied().collect();
    let mut whole = vec![
        ("raw", octets.to_vec(), PIECE),
        ("reversed", reversed.clone(), PIECE),
        ("hex", hex(octets).into_bytes(), 2 * PIECE),
        ("HEX", hex(octets).to_uppercase().into_bytes(), 2 * PIECE),
        ("hex, reversed", hex(&reversed).into_bytes(), 2 * PIECE),
    ];
    for skipped in 0..3 {
        // The text of these octets wherever they begin in a larger text: what shares a character with others is left out.
        let inner = &octets[skipped..];
        let inner = &inner[..inner.len() / 3 * 3];
        whole.push(("base64", base64(inner).into_bytes(), PIECE / 3 * 4));
    }
    let mut forms = Vec::new();
    for (form, octets, piece) in whole {
        for start in [0, (octets.len() - piece) / 2, octets.len() - piece] {
            forms.push((format!("{form} of {number}"), octets[start..start + piece].to_vec()));
        }
    }
    forms
}

/// The secret numbers in a key file, by name, as OpenSSL reads them.
fn secret_numbers(path: &Path) -> Vec<(String, Vec<u8>)> {
    let shown = judge("openssl", &["pkey", "-in", text(path), "-noout", "-text"]);
    let names =
        ["priv", "privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient"];
    let mut numbers = Vec::new();
    for name in names {
        let Some((_, rest)) = shown.split_once(&format!("{name}:\n")) else { continue };
        let digits: String = rest
            .lines()
            .take_while(|line| line.starts_with(' '))
            .flat_map(|line| line.trim().split(':').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let mut octets = unhex(&digits);
        // The sign of a DER number is no part of the secret.
        if octets[0] == 0 {
            octets.remove(0);
        }
        numbers.push((name.to_owned(), octets));
    }
    assert!([1, 6].contains(&numbers.len()), "{numbers:?}");
    numbers
}

/// The lines of PEM text that hold at least half a piece of a secret number.
fn secret_lines(der: &[u8], numbers: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut secret = vec![false; der.len()];
    for (name, octets) in numbers {
        let at = memchr::memmem::find(der, octets).unwrap_or_else(|| panic!("{name} is not there"));
        secret[at..at + octets.len()].fill(true);
    }
    der.chunks(48)
        .zip(secret.chunks(48))
        .filter(|(_, secret)| secret.iter().filter(|is| **is).count() >= PIECE / 2)
        .map(|(line, _)| base64(line))
        .filter(|line| line.len() >= PIECE)
        .collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn base64(octets: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in octets.chunks(3) {
        let mut all = [0; 3];
        all[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, all[0], all[1], all[2]]);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place > group.len() { '=' } else { char::from(alphabet[digit as usize]) });
        }
    }
    text
}

/// The search is judged by OpenSSL's own texts of a key: each of them must be found.
#[test]
fn every_form_of_a_key_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [&["EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], &["RSA"]] {
        let path = folder.path().join("key.pem");
        judge("openssl", &[&["genpkey", "-out", text(&path), "-algorithm"], algorithm].concat());
        let search = Search::of(vec![Canary::key(&path)]);
        assert!(search.found_in(b"nothing of it in here").is_empty());
        let form = |words: &[&str]| {
            let words = [words, &["-in", text(&path)]].concat();
            let output = Command::new("openssl").args(&words).output().unwrap();
            assert!(output.status.success(), "{words:?}");
            output.stdout
        };
        let der = form(&["pkey", "-outform", "DER"]);
        let mut reversed = der.clone();
        reversed.reverse();
        let hexed = hex(&der);
        let shifted = |by: usize| [&[7; 3][..by], &der].concat();
        for (what, octets) in [
            ("PEM", form(&["pkey"])),
            ("traditional PEM", form(&["pkey", "-traditional"])),
            ("traditional DER", form(&["pkey", "-traditional", "-outform", "DER"])),
            ("hex", hexed.clone().into_bytes()),
            ("HEX", hexed.to_uppercase().into_bytes()),
            ("reversed", reversed),
            ("base64", base64(&der).into_bytes()),
            ("base64 from 1", base64(&shifted(1)).into_bytes()),
            ("base64 from 2", base64(&shifted(2)).into_bytes()),
            ("DER", der),
        ] {
            assert!(!search.found_in(&octets).is_empty(), "{what} of {algorithm:?}");
        }
        // The public half is no secret.
        assert!(search.found_in(&form(&["pkey", "-pubout"])).is_empty());
    }
}
