//! The four services, under the names that operators of VMware systems know.

use std::fmt;
use std::str::FromStr;

/// A service of the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The endpoint certificate store (VECS).
    Vmafdd,
    /// The directory of trusted roots and nodes.
    Vmdird,
    /// The certificate authority (VMCA).
    Vmcad,
    /// The TLS front door.
    Gateway,
}

impl Service {
    /// Every service in start order; stopping goes the other way.
    pub const ALL: [Self; 4] = [Self::Vmafdd, Self::Vmdird, Self::Vmcad, Self::Gateway];

    /// The short name: program, socket and database are named after it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vmafdd => "vmafdd",
            Self::Vmdird => "vmdird",
            Self::Vmcad => "vmcad",
            Self::Gateway => "gateway",
        }
    }

    /// The name that `service-control --list` prints in parentheses.
    pub const fn display_name(self) -> &'static str {
        match self {
            Self::Vmafdd => "VMware Authentication Framework",
            Self::Vmdird => "VMware Directory Service",
            Self::Vmcad => "VMware Certificate Service",
            Self::Gateway => "Sealwright TLS Gateway",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Service {
    type Err = UnknownService;

    /// Accepts the short name and the names that VMware tools use for the same service.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "vmafdd" | "vmafd" | "vmware-vmafdd" | "VMWareAfdService" => Ok(Self::Vmafdd),
            "vmdird" | "vmdir" | "vmware-vmdird" | "VMWareDirectoryService" => Ok(Self::Vmdird),
            "vmcad" | "vmca" | "vmware-vmcad" | "VMWareCertificateService" => Ok(Self::Vmcad),
            "gateway" | "sealwright-gateway" | "rhttpproxy" | "vmware-rhttpproxy" | "envoy"
            | "vmware-envoy" => Ok(Self::Gateway),
            _ => Err(UnknownService(text.to_owned())),
        }
    }
}

/// No service goes by this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no service '{0}'; the services are vmafdd, vmdird, vmcad and gateway")]
pub struct UnknownService(pub String);
