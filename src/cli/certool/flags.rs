//! What was typed: the options of certool, and nothing about what they mean together.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

use super::fields::Fields;
use super::help::{EXAMPLES, HEADINGS, INTRODUCTION};
use crate::base::KeyAlgorithm;

/// Long options only; an abbreviation counts where it fits one option, and an exact name always.
#[derive(Debug, Parser)]
#[command(
    name = "certool",
    about = INTRODUCTION,
    after_help = EXAMPLES,
    override_usage = "certool --<COMMAND> [--<OPTION>[=]<VALUE>]...",
    infer_long_args = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub(super) struct Flags {
    /// Become a self-signed CA; its key is made in the token, on the server
    #[arg(long, help_heading = HEADINGS.init)]
    pub(super) selfca: bool,

    /// Install the chain in --cert: the certificate of this CA, its issuers, the root last
    #[arg(long, help_heading = HEADINGS.init)]
    pub(super) rootca: bool,

    /// Write a request for an intermediate CA to --csrfile; it is signed in the token
    #[arg(long, help_heading = HEADINGS.init)]
    pub(super) gencacsr: bool,

    /// Ask the server for its product name and version
    #[arg(long, help_heading = HEADINGS.functions)]
    pub(super) version: bool,

    /// Have VMCA certify the key in --privkey; the chain is written to --cert
    #[arg(long, help_heading = HEADINGS.functions)]
    pub(super) gencert: bool,

    /// Make a key pair: --privkey, and --pubkey where it is given
    #[arg(long, help_heading = HEADINGS.functions)]
    pub(super) genkey: bool,

    /// Show the certificate in --cert as text
    #[arg(long, help_heading = HEADINGS.functions)]
    pub(super) viewcert: bool,

    /// Show the CA certificate as text; its chain is written to --cert where that is given
    #[arg(long, help_heading = HEADINGS.functions)]
    pub(super) getrootca: bool,

    /// List the certificates that VMCA issued: --filter says which
    #[arg(long, help_heading = HEADINGS.functions)]
    pub(super) enumcert: bool,

    /// Write the revocation list to --crl
    #[arg(long, help_heading = HEADINGS.functions)]
    pub(super) getcrl: bool,

    #[command(flatten, next_help_heading = HEADINGS.config)]
    pub(super) fields: Fields,

    /// Configuration file with the values above; the command line wins [default: certool.cfg]
    #[arg(long, value_name = "FILE", help_heading = HEADINGS.files)]
    pub(super) config: Option<PathBuf>,

    /// Private key, PEM
    #[arg(long, value_name = "FILE", help_heading = HEADINGS.files)]
    pub(super) privkey: Option<PathBuf>,

    /// Public key, PEM
    #[arg(long, value_name = "FILE", help_heading = HEADINGS.files)]
    pub(super) pubkey: Option<PathBuf>,

    /// Certificate or chain, PEM
    #[arg(long, value_name = "FILE", help_heading = HEADINGS.files)]
    pub(super) cert: Option<PathBuf>,

    /// Certificate request, PEM
    #[arg(long, value_name = "FILE", help_heading = HEADINGS.files)]
    pub(super) csrfile: Option<PathBuf>,

    /// Certificate revocation list, PEM
    #[arg(long, value_name = "FILE", help_heading = HEADINGS.files)]
    pub(super) crl: Option<PathBuf>,

    /// With --enumcert: active (not revoked), revoked or all
    #[arg(long, value_name = "FILTER", help_heading = HEADINGS.files)]
    pub(super) filter: Option<String>,

    /// Minutes by which a self-signed CA certificate starts in the past, 0 to 10080
    #[arg(
        long,
        value_name = "MINUTES",
        default_value_t = 4320,
        allow_negative_numbers = true,
        help_heading = HEADINGS.files
    )]
    pub(super) predate: i64,

    /// Kind of a new key: rsa-2048, rsa-3072, rsa-4096, p-256 or p-384
    #[arg(long, value_name = "ALGORITHM", help_heading = HEADINGS.files)]
    pub(super) key_algorithm: Option<KeyAlgorithm>,

    /// With --gencacsr: make a new CA key instead of using the present one
    #[arg(long, help_heading = HEADINGS.files)]
    pub(super) newkey: bool,

    /// VMCA's host; only this machine
    #[arg(long, value_name = "HOST", help_heading = HEADINGS.general)]
    pub(super) server: Option<String>,

    /// Help, or one section of it: init, functions, config or files
    #[arg(
        long,
        value_name = "SECTION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        help_heading = HEADINGS.general
    )]
    pub(super) help: Option<String>,

    /// Words that belong to no option are ignored, as the original ignores them.
    #[arg(hide = true)]
    _stray: Vec<OsString>,
}
