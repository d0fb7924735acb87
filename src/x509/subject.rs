//! The subject that certool builds from its options and its configuration file.

use super::asn1;
use super::error::Error;
use super::name::{Attribute, Name};
use super::oid;
use der::oid::ObjectIdentifier;

/// Fields of a subject as certool takes them; [`SubjectFields::to_name`] makes a name of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectFields {
    /// `Name`: commonName, at most 64 characters.
    pub common_name: Option<String>,
    /// `DomainComponent`: `vsphere.local`, with or without a leading `dc=`.
    pub domain_component: Option<String>,
    /// `Country`: two letters (ISO 3166).
    pub country: Option<String>,
    /// `State`: at most 128 characters a value, values separated by commas.
    pub state: Option<String>,
    /// `Locality`: at most 128 characters a value, values separated by commas.
    pub locality: Option<String>,
    /// `Organization`: at most 64 characters a value, values separated by commas.
    pub organization: Option<String>,
    /// `OrgUnit`: at most 64 characters a value, values separated by commas.
    pub org_unit: Option<String>,
}

impl SubjectFields {
    /// Builds the name in VMCA's order: CN, DC…, C, ST, L, O, OU, one RDN a value.
    ///
    /// Limits are the upper bounds of RFC 5280, appendix A.1. Country and domain components have
    /// the string types that RFC 5280 asks for, everything else is UTF8String. Without any field
    /// the name is empty; whether that is acceptable is for the caller to say.
    pub fn to_name(&self) -> Result<Name, Error> {
        let mut attributes = Vec::new();
        if let Some(name) = trimmed(&self.common_name) {
            // A comma belongs to a common name; it separates nothing here.
            attributes.push(text_attribute("Name", oid::COMMON_NAME, name, 64)?);
        }
        for component in trimmed(&self.domain_component).map_or(Vec::new(), domain_components) {
            attributes.push(domain_attribute(component)?);
        }
        if let Some(country) = &self.country {
            attributes.push(country_attribute(country)?);
        }
        for (field, kind, values, limit) in [
            ("State", oid::STATE, &self.state, 128),
            ("Locality", oid::LOCALITY, &self.locality, 128),
            ("Organization", oid::ORGANIZATION, &self.organization, 64),
            ("OrgUnit", oid::ORGANIZATIONAL_UNIT, &self.org_unit, 64),
        ] {
            for value in trimmed(values).map_or(Vec::new(), |text| tokens(text, ',')) {
                attributes.push(text_attribute(field, kind, value, limit)?);
            }
        }
        Name::of_attributes(attributes)
    }
}

fn trimmed(field: &Option<String>) -> Option<&str> {
    field.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn tokens(text: &str, separator: char) -> Vec<&str> {
    text.split(separator).map(str::trim).filter(|token| !token.is_empty()).collect()
}

/// VMCA's own tokeniser: the first component ends at a dot, the later ones at commas. So
/// `vsphere.local` gives two components, but `a.b.c` gives `a` and `b.c`. Its certificates carry
/// names made that way, so the same text must give the same name here.
fn domain_components(text: &str) -> Vec<&str> {
    let text = match text.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("dc=") => &text[3..],
        _ => text,
    };
    let text = text.trim_start_matches('.');
    match text.split_once('.') {
        Some((first, rest)) => {
            let mut components = tokens(first, '\0');
            components.extend(tokens(rest, ','));
            components
        }
        None => tokens(text, '\0'),
    }
}

fn country_attribute(country: &str) -> Result<Attribute, Error> {
    let country = country.trim();
    if country.len() != 2 || !country.bytes().all(|octet| octet.is_ascii_alphabetic()) {
        return Err(Error::Country(
            format!(
                "Country is \"{}\", but it must be a country code of exactly two letters, such as US",
                country.escape_debug()
            )
            .into(),
        ));
    }
    Ok(Attribute {
        kind: oid::COUNTRY,
        tag: asn1::PRINTABLE_STRING,
        value: country.as_bytes().to_vec(),
    })
}

fn domain_attribute(component: &str) -> Result<Attribute, Error> {
    if !component.bytes().all(|octet| matches!(octet, 0x20..=0x7e)) {
        return Err(Error::Field(
            format!(
                "DomainComponent \"{}\" may hold only printable ASCII characters",
                component.escape_debug()
            )
            .into(),
        ));
    }
    let attribute = text_attribute("DomainComponent", oid::DOMAIN_COMPONENT, component, 63)?;
    Ok(Attribute { tag: asn1::IA5_STRING, ..attribute })
}

fn text_attribute(
    field: &str,
    kind: ObjectIdentifier,
    value: &str,
    limit: usize,
) -> Result<Attribute, Error> {
    let length = value.chars().count();
    if length > limit {
        return Err(Error::Field(
            format!(
                "{field} is {length} characters long; a certificate can hold {limit}: shorten it"
            )
            .into(),
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::Field(
            format!("{field} \"{}\" holds a control character; remove it", value.escape_debug())
                .into(),
        ));
    }
    Ok(Attribute { kind, tag: asn1::UTF8_STRING, value: value.as_bytes().to_vec() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::SubjectFields;
    use crate::x509::Error;

    fn field(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_default_root_of_the_product_has_its_order_and_string_types() {
        let name = SubjectFields {
            common_name: field("CA"),
            domain_component: field("vsphere.local"),
            country: field("US"),
            state: field("California"),
            locality: None,
            organization: field("vc.example.com"),
            org_unit: field("VMware Engineering"),
        }
        .to_name()
        .unwrap();
        // RFC 4514 writes the last RDN first.
        assert_eq!(
            name.to_text(),
            "OU=VMware Engineering,O=vc.example.com,ST=California,C=US,DC=local,DC=vsphere,CN=CA"
        );
        let tags: Vec<u8> = name.rdns().iter().map(|rdn| rdn[0].tag).collect();
        assert_eq!(tags, [0x0c, 0x16, 0x16, 0x13, 0x0c, 0x0c, 0x0c]);
    }

    #[test]
    fn values_are_split_and_trimmed() {
        let name = SubjectFields {
            common_name: field("a, b"),
            org_unit: field(" one , two,,three "),
            ..SubjectFields::default()
        }
        .to_name()
        .unwrap();
        assert_eq!(name.to_text(), "OU=three,OU=two,OU=one,CN=a\\, b");
    }

    #[test]
    fn domain_components_follow_the_tokeniser_of_the_original() {
        for (text, expected) in [
            ("vsphere.local", "DC=local,DC=vsphere"),
            ("dc=vsphere.local", "DC=local,DC=vsphere"),
            ("a.b.c", "DC=b.c,DC=a"),
            ("a.b,c", "DC=c,DC=b,DC=a"),
            ("local", "DC=local"),
            ("dc=vsphere,dc=local", "DC=vsphere\\,dc=local"),
            ("..", ""),
        ] {
            let name = SubjectFields { domain_component: field(text), ..SubjectFields::default() }
                .to_name()
                .unwrap();
            assert_eq!(name.to_text(), expected, "{text}");
        }
    }

    #[test]
    fn a_country_is_exactly_two_letters() {
        for wrong in ["USA", "U", "", "U1", "ÄÖ"] {
            let fields = SubjectFields { country: field(wrong), ..SubjectFields::default() };
            assert!(matches!(fields.to_name(), Err(Error::Country(_))), "{wrong}");
        }
    }

    #[test]
    fn upper_bounds_are_counted_in_characters() {
        let of = |length: usize| SubjectFields {
            common_name: field(&"ü".repeat(length)),
            ..SubjectFields::default()
        };
        assert!(of(64).to_name().is_ok());
        let error = of(65).to_name().unwrap_err();
        assert!(matches!(&error, Error::Field(_)), "{error}");
        assert!(error.to_string().contains("Name is 65 characters long"));
    }
}
