//! The values of a subject and its alternative names, as typed or as read from a configuration file.

use crate::api::ca as words;
use crate::cli::codes;
use crate::cli::failure::Failure;
use crate::x509::{AlternativeNames, Name, SubjectFields};

/// Ten values, each an option of certool and a key of its configuration file, with the same name.
/// A comma separates several values where several are possible.
#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct Fields {
    /// Country (C): two letters
    #[arg(long = "Country", value_name = "CC")]
    country: Option<String>,

    /// Common name (CN)
    #[arg(long = "Name", value_name = "TEXT")]
    name: Option<String>,

    /// Domain components (DC), such as vsphere.local
    #[arg(long = "DomainComponent", value_name = "DOMAIN")]
    domain_component: Option<String>,

    /// Organization (O)
    #[arg(long = "Organization", value_name = "TEXT[,TEXT]")]
    organization: Option<String>,

    /// Organizational unit (OU)
    #[arg(long = "OrgUnit", value_name = "TEXT[,TEXT]")]
    org_unit: Option<String>,

    /// State or province (ST)
    #[arg(long = "State", value_name = "TEXT[,TEXT]")]
    state: Option<String>,

    /// Locality (L)
    #[arg(long = "Locality", value_name = "TEXT[,TEXT]")]
    locality: Option<String>,

    /// Alternative name: IP addresses
    #[arg(long = "IPAddress", value_name = "ADDRESS[,ADDRESS]")]
    ip_address: Option<String>,

    /// Alternative name: e-mail addresses
    #[arg(long = "Email", value_name = "ADDRESS[,ADDRESS]")]
    email: Option<String>,

    /// Alternative name: host names
    #[arg(long = "Hostname", value_name = "FQDN[,FQDN]")]
    hostname: Option<String>,
}

impl Fields {
    /// The place of a key, which must be written exactly like the option.
    pub(in crate::cli) fn place(&mut self, key: &str) -> Option<&mut Option<String>> {
        Some(match key {
            "Country" => &mut self.country,
            "Name" => &mut self.name,
            "DomainComponent" => &mut self.domain_component,
            "Organization" => &mut self.organization,
            "OrgUnit" => &mut self.org_unit,
            "State" => &mut self.state,
            "Locality" => &mut self.locality,
            "IPAddress" => &mut self.ip_address,
            "Email" => &mut self.email,
            "Hostname" => &mut self.hostname,
            _ => return None,
        })
    }

    /// These values, and the other ones where these say nothing. An empty value says "none".
    pub(in crate::cli) fn over(self, other: Self) -> Self {
        Self {
            country: self.country.or(other.country),
            name: self.name.or(other.name),
            domain_component: self.domain_component.or(other.domain_component),
            organization: self.organization.or(other.organization),
            org_unit: self.org_unit.or(other.org_unit),
            state: self.state.or(other.state),
            locality: self.locality.or(other.locality),
            ip_address: self.ip_address.or(other.ip_address),
            email: self.email.or(other.email),
            hostname: self.hostname.or(other.hostname),
        }
    }

    /// The subject of a machine's certificate, or of a request for an intermediate CA: every value.
    pub(in crate::cli) fn subject(&self) -> Result<Name, Failure> {
        named(&SubjectFields {
            common_name: said(&self.name),
            domain_component: said(&self.domain_component),
            country: Some(self.checked_country()?),
            state: said(&self.state),
            locality: said(&self.locality),
            organization: said(&self.organization),
            org_unit: said(&self.org_unit),
        })
    }

    /// The subject of a self-signed CA: the organization is this machine, there is no locality, and
    /// the domain is always there. Products verify the names of shipped roots by this shape.
    pub(super) fn root_subject(&self, node: &words::Node) -> Result<Name, Failure> {
        named(&SubjectFields {
            common_name: said(&self.name),
            domain_component: said(&self.domain_component).or_else(|| Some(node.domain.clone())),
            country: Some(self.checked_country()?),
            state: said(&self.state),
            locality: None,
            organization: Some(node.name.clone()),
            org_unit: said(&self.org_unit),
        })
    }

    /// The alternative names as text, for a service that judges them.
    pub(in crate::cli) fn alternative_names_as_typed(&self) -> words::AlternativeNames {
        words::AlternativeNames {
            email: list(&self.email),
            ip: list(&self.ip_address),
            dns: list(&self.hostname),
        }
    }

    /// The alternative names, for a request that is built here.
    pub(in crate::cli) fn alternative_names(&self) -> Result<AlternativeNames, Failure> {
        let mut ip = Vec::new();
        for text in list(&self.ip_address) {
            ip.push(text.parse().map_err(|_| {
                Failure::new(
                    codes::SAN_IPADDR_INVALID,
                    format!(
                        "IPAddress '{text}' is no IP address; write it like 192.0.2.1 or 2001:db8::1"
                    ),
                )
            })?);
        }
        Ok(AlternativeNames {
            email: list(&self.email),
            ip,
            uri: Vec::new(),
            dns: list(&self.hostname),
        })
    }

    fn checked_country(&self) -> Result<String, Failure> {
        match said(&self.country) {
            Some(country) if country.chars().count() == 2 => Ok(country),
            Some(country) => Err(Failure::new(
                codes::INVALID_PARAMETER,
                format!("Country '{country}' must have exactly two letters, such as US"),
            )),
            None => Err(Failure::new(
                codes::INVALID_PARAMETER,
                "Country is missing; write 'Country = US' into the configuration file or add --Country=US",
            )),
        }
    }
}

/// A value that says something.
fn said(value: &Option<String>) -> Option<String> {
    value.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The parts of a comma list.
fn list(value: &Option<String>) -> Vec<String> {
    value
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

fn named(fields: &SubjectFields) -> Result<Name, Failure> {
    fields.to_name().map_err(|error| super::failure::from_x509(&error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Fields;
    use crate::cli::codes;

    fn fields(values: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (key, value) in values {
            *fields.place(key).unwrap() = Some((*value).to_owned());
        }
        fields
    }

    #[test]
    fn the_command_line_wins_even_with_an_empty_value() {
        let typed = fields(&[("Name", "typed"), ("OrgUnit", "")]);
        let file = fields(&[("Name", "file"), ("OrgUnit", "unit"), ("State", "state")]);
        let merged = typed.over(file);
        assert_eq!(merged.name.as_deref(), Some("typed"));
        assert_eq!(super::said(&merged.org_unit), None);
        assert_eq!(merged.state.as_deref(), Some("state"));
    }

    #[test]
    fn keys_are_case_sensitive() {
        assert!(Fields::default().place("hostname").is_none());
        assert!(Fields::default().place("Hostname").is_some());
    }

    #[test]
    fn lists_are_split_and_bad_addresses_named() {
        let names = fields(&[("Hostname", "a.example, b.example,"), ("IPAddress", "::1")])
            .alternative_names()
            .unwrap();
        assert_eq!(names.dns, ["a.example", "b.example"]);
        assert_eq!(names.ip.len(), 1);
        let refused = fields(&[("IPAddress", "10.0.0.256")]).alternative_names().unwrap_err();
        assert_eq!(refused.code, codes::SAN_IPADDR_INVALID);
    }

    #[test]
    fn a_country_has_two_letters() {
        for country in ["", "U", "USA"] {
            let refused = fields(&[("Country", country)]).subject().unwrap_err();
            assert_eq!(refused.code, codes::INVALID_PARAMETER, "{country}");
        }
    }
}
