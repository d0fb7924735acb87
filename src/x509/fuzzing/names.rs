//! Names: of subjects, alternative ones, and what a CA certificate says about both.

use der::Decode;

use super::{der::is_shown, values};
use crate::x509::{
    AlternativeNames, Name, NameConstraints, SubjectFields, asn1, check_names, check_url,
};

mutation::targets! {
    name: name_seeds, 6000;
    name_text: text_seeds, 6000;
    alternative_names: alternative_seeds, 6000;
    name_constraints: constraint_seeds, 8000;
}

/// A name that is taken is kept octet for octet; a second reader that takes it sees as many parts; its text is one line;
/// names that are equal have one hash.
fn name(octets: &[u8]) {
    let Ok(name) = Name::from_der(octets) else { return };
    assert_eq!(name.as_der(), octets);
    let text = name.to_text();
    assert!(!text.contains(char::is_control), "{text:?}");
    if let Ok(other) = x509_cert::name::Name::from_der(octets) {
        assert_eq!(other.is_empty(), name.is_empty());
    }
    let _ = (name.hash(), name.hash_old(), name.common_names(), name.countries());
    let _ = check_names(&name, &AlternativeNames::default());
}

fn name_seeds() -> Vec<Vec<u8>> {
    vec![values::name().as_der().to_vec(), vec![0x30, 0]]
}

/// Seven lines are the fields of certool. A name that is made of them is read again from its
/// octets, and stands in the order of DER.
fn name_text(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let mut lines = text.split('\n').map(|line| (!line.is_empty()).then(|| line.to_owned()));
    let mut field = || lines.next().flatten();
    let fields = SubjectFields {
        common_name: field(),
        domain_component: field(),
        country: field(),
        state: field(),
        locality: field(),
        organization: field(),
        org_unit: field(),
    };
    match fields.to_name() {
        Ok(name) => {
            assert_eq!(Name::from_der(name.as_der()).unwrap(), name);
            assert!(name.is_in_order());
            check_names(&name, &AlternativeNames::default())
                .unwrap_or_else(|error| is_shown(&error.to_string()));
        }
        Err(error) => is_shown(&error.to_string()),
    }
}

fn text_seeds() -> Vec<Vec<u8>> {
    vec![
        "Größe & Söhne\nvsphere.local\nDE\nBayern,Hessen\nMünchen\nExample, Another\na,b".into(),
        "CA\ndc=a.b.c,d\nus\n\n\nVMware\nEngineering".into(),
    ]
}

/// Names that are taken can be certified, and are the same when written and read again. Lines of text are added one by one
/// as each kind: what is taken is well formed.
fn alternative_names(octets: &[u8]) {
    if let Ok(names) = AlternativeNames::from_der(octets) {
        names.check().expect("names that were taken");
        let again = names.to_der().expect("there is one");
        assert_eq!(AlternativeNames::from_der(&again).unwrap(), names);
        assert!(again.len() <= octets.len(), "a name that is there twice is written once");
    }
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let mut names = AlternativeNames::default();
    for line in text.lines() {
        for outcome in [
            names.add_dns(line),
            names.add_ip(line),
            names.add_email(line),
            names.add_uri(line),
            check_url(line),
        ] {
            outcome.unwrap_or_else(|error| is_shown(&error.to_string()));
        }
    }
    names.check().expect("names that were taken");
    if let Some(written) = names.to_der() {
        assert_eq!(AlternativeNames::from_der(&written).unwrap(), names);
    }
}

fn alternative_seeds() -> Vec<Vec<u8>> {
    vec![
        values::alternative_names().to_der().expect("names"),
        b"a.example\n*.example\n192.0.2.1\n::1\na@example.test\nhttps://u@[2001:db8::1]:8443/a?b#c"
            .to_vec(),
    ]
}

/// Two lengths of two octets, then the constraints, a list of alternative names, and a name. Constraints that allow names
/// allow fewer of them too; whether they are critical changes nothing where both are understood.
fn name_constraints(octets: &[u8]) {
    let Some((lengths, rest)) = octets.split_first_chunk::<4>() else { return };
    let [one, two] =
        [0, 2].map(|at| usize::from(u16::from_be_bytes([lengths[at], lengths[at + 1]])));
    let (constraints, rest) = rest.split_at(one.min(rest.len()));
    let (names, subject) = rest.split_at(two.min(rest.len()));
    let names = AlternativeNames::from_der(names).unwrap_or_else(|_| values::alternative_names());
    let subject = Name::from_der(subject).unwrap_or_else(|_| values::name());
    let Ok(strict) = NameConstraints::read(constraints, true) else {
        let _ = NameConstraints::read(constraints, false)
            .map(|some| some.permit_leaf(&subject, &names));
        return;
    };
    let loose = NameConstraints::read(constraints, false).expect("what is understood is read");
    let outcome = strict.permit_leaf(&subject, &names);
    assert_eq!(outcome, loose.permit_leaf(&subject, &names));
    if outcome.is_ok() {
        strict.permit_leaf(&subject, &AlternativeNames::default()).expect("the subject alone");
        let dns = AlternativeNames { dns: names.dns.clone(), ..AlternativeNames::default() };
        strict.permit_leaf(&subject, &dns).expect("fewer names");
    }
}

fn constraint_seeds() -> Vec<Vec<u8>> {
    let names = values::alternative_names().to_der().expect("names");
    let subject = values::name();
    let element = |tag: u8, content: &[u8]| asn1::encode(tag, &[content]);
    let subtrees = |tag: u8, names: &[(u8, &[u8])]| {
        let each = |(tag, name): &(u8, &[u8])| element(0x30, &element(*tag, name));
        element(tag, &names.iter().flat_map(each).collect::<Vec<u8>>())
    };
    let network = [192, 0, 2, 0, 255, 255, 255, 0];
    let permitted =
        subtrees(0xa0, &[(0x82, b".example.test"), (0x81, b"example.test"), (0x87, &network)]);
    let excluded = subtrees(0xa1, &[(0x86, b".bad.test"), (0xa4, subject.as_der())]);
    let constraints = [
        element(0x30, &[&permitted[..], &excluded].concat()),
        element(0x30, &permitted),
        element(0x30, &subtrees(0xa1, &[(0x86, b".bad.test")])),
    ];
    let framed = |constraints: &Vec<u8>| {
        let lengths = [constraints.len() as u16, names.len() as u16].map(u16::to_be_bytes).concat();
        [&lengths[..], constraints, &names, subject.as_der()].concat()
    };
    constraints.iter().map(framed).collect()
}
