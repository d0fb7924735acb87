//! The words of vecs-cli as data: what is read, what `help` shows and what the manual page says come
//! from this one table.
//!
//! clap does not read the command line here. It would accept `--store=NAME`, refuse a value that
//! begins with two dashes, and refuse a repeated option, where the original does the opposite each
//! time; so the words are read by hand in `words`, and clap only writes help, manual and completions.

/// One verb with its options.
#[derive(Debug)]
pub(super) struct Verb {
    /// `store` or `entry`; nothing for a verb that stands alone.
    pub(super) group: Option<&'static str>,
    /// The verb.
    pub(super) name: &'static str,
    /// One line.
    pub(super) about: &'static str,
    /// What may follow, in any order.
    pub(super) options: &'static [Opt],
    /// What a repeated option means.
    pub(super) repeated: Repeated,
}

/// One option: an exact, case-sensitive word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opt {
    /// With its dashes.
    pub(super) word: &'static str,
    /// What the next word is; nothing for an option without a value.
    pub(super) value: Option<&'static str>,
    /// Whether the verb does nothing without it.
    pub(super) required: bool,
    /// One line.
    pub(super) help: &'static str,
}

/// Which of two equal options counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeated {
    /// Entry commands.
    FirstCounts,
    /// Store commands.
    LastCounts,
}

const fn required(word: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt { word, value: Some(value), required: true, help }
}

const fn optional(word: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt { word, value: Some(value), required: false, help }
}

const fn flag(word: &'static str, help: &'static str) -> Opt {
    Opt { word, value: None, required: false, help }
}

const NAME: Opt = required("--name", "STORE", "Name of the store");
const STORE: Opt = required("--store", "STORE", "Name of the store");
const ALIAS: Opt = required("--alias", "ALIAS", "Alias of the entry");
const YES: Opt = flag("-y", "Do not ask");
const TEXT: Opt = flag("--text", "Show certificates as text");
const OUTPUT: Opt = optional("--output", "FILE", "Write to this file, readable by its owner alone");
// The original reaches other machines with these two. They are read, so that the rule about their
// going together is kept, and then refused.
const SERVER: Opt = optional("--server", "HOST", "Another machine; not available");
const UPN: Opt = optional("--upn", "USER", "User on that machine; not available");

const KEY_ALGORITHM: &str =
    "Kind of the key: rsa-2048, rsa-3072 (where nothing is said), rsa-4096, p-256 or p-384";
const SCHEME: &str = "rsa-pkcs1-sha256 (where nothing is said, for an RSA key), rsa-pkcs1-sha384, \
                      rsa-pkcs1-sha512, rsa-pss-sha256, rsa-pss-sha384, rsa-pss-sha512, \
                      ecdsa-p256-sha256 or ecdsa-p384-sha384";

/// Options of `entry generate` that are values of `certool.cfg` as well: their names begin with a capital.
pub(super) fn is_field(option: &Opt) -> bool {
    option.word.trim_start_matches('-').starts_with(|c: char| c.is_ascii_uppercase())
}

/// Every verb, in the order in which help shows them.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        group: Some("store"),
        name: "list",
        about: "Lists the stores in the order in which they were made",
        options: &[SERVER, UPN],
        repeated: Repeated::LastCounts,
    },
    Verb {
        group: Some("store"),
        name: "create",
        about: "Makes an empty store that belongs to you",
        options: &[NAME, SERVER, UPN],
        repeated: Repeated::LastCounts,
    },
    Verb {
        group: Some("store"),
        name: "delete",
        about: "Deletes a store with every entry in it",
        options: &[NAME, YES, SERVER, UPN],
        repeated: Repeated::LastCounts,
    },
    Verb {
        group: Some("store"),
        name: "permission",
        about: "Gives a user a right on a store, or takes it away",
        options: &[
            NAME,
            required("--user", "USER", "User name, or EVERYONE"),
            optional("--grant", "RIGHT", "read, write or readkey (private keys)"),
            optional("--revoke", "RIGHT", "read, write or readkey (private keys)"),
        ],
        repeated: Repeated::LastCounts,
    },
    Verb {
        group: Some("store"),
        name: "get-permissions",
        about: "Shows who may do what with a store",
        options: &[NAME, SERVER, UPN],
        repeated: Repeated::LastCounts,
    },
    Verb {
        group: Some("entry"),
        name: "create",
        about: "Adds a certificate, a secret, or a private key with its certificates",
        options: &[
            STORE,
            optional(
                "--alias",
                "ALIAS",
                "Alias of the entry; a certificate goes without: its SHA-1",
            ),
            optional("--cert", "FILE", "Certificates, PEM, the key's own first"),
            optional("--key", "FILE", "Unencrypted private key or secret, PEM"),
            SERVER,
            UPN,
        ],
        repeated: Repeated::FirstCounts,
    },
    Verb {
        group: Some("entry"),
        name: "list",
        about: "Lists the entries of a store with their certificates",
        options: &[STORE, TEXT, flag("--aliases", "Show only the aliases"), SERVER, UPN],
        repeated: Repeated::FirstCounts,
    },
    Verb {
        group: Some("entry"),
        name: "getcert",
        about: "Shows the certificates of an entry",
        options: &[STORE, ALIAS, OUTPUT, TEXT, SERVER, UPN],
        repeated: Repeated::FirstCounts,
    },
    Verb {
        group: Some("entry"),
        name: "getkey",
        about: "Shows the private key of an entry; needs the right readkey, and leaves a record",
        options: &[STORE, ALIAS, OUTPUT, SERVER, UPN],
        repeated: Repeated::FirstCounts,
    },
    Verb {
        group: Some("entry"),
        name: "generate",
        about: "Makes a private key in the token and has VMCA certify it (an extension)",
        options: &[
            STORE,
            ALIAS,
            required("--config", "FILE", "What certool reads: subject and alternative names"),
            optional("--key-algorithm", "ALGORITHM", KEY_ALGORITHM),
            optional("--Country", "CC", "Country (C), instead of what the file says"),
            optional("--Name", "TEXT", "Common name (CN), instead of what the file says"),
            optional("--DomainComponent", "DOMAIN", "Domain components (DC), likewise"),
            optional("--Organization", "TEXT[,TEXT]", "Organization (O), likewise"),
            optional("--OrgUnit", "TEXT[,TEXT]", "Organizational unit (OU), likewise"),
            optional("--State", "TEXT", "State or province (ST), likewise"),
            optional("--Locality", "TEXT", "Locality (L), likewise"),
            optional("--IPAddress", "ADDRESS[,ADDRESS]", "Alternative names, likewise"),
            optional("--Email", "ADDRESS[,ADDRESS]", "Alternative names, likewise"),
            optional("--Hostname", "FQDN[,FQDN]", "Alternative names, likewise"),
        ],
        repeated: Repeated::FirstCounts,
    },
    Verb {
        group: Some("entry"),
        name: "sign",
        about: "Signs a file with the key of an entry, in the token (an extension); needs readkey, and leaves a record",
        options: &[
            STORE,
            ALIAS,
            required("--in", "FILE", "What is signed; at most 1 MiB"),
            required("--out", "FILE", "Where the signature goes: DER for an EC key"),
            optional("--scheme", "SCHEME", SCHEME),
        ],
        repeated: Repeated::FirstCounts,
    },
    Verb {
        group: Some("entry"),
        name: "delete",
        about: "Deletes an entry",
        options: &[STORE, ALIAS, YES, SERVER, UPN],
        repeated: Repeated::FirstCounts,
    },
    Verb {
        group: None,
        name: "force-refresh",
        about: "Fetches trusted roots and revocation lists now",
        options: &[SERVER, UPN],
        repeated: Repeated::LastCounts,
    },
    Verb {
        group: None,
        name: "help",
        about: "Shows this text",
        options: &[],
        repeated: Repeated::LastCounts,
    },
];
