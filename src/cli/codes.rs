//! Error numbers of the originals and the texts that stand beside them.
//!
//! The numbers and the few texts that scripts match on are the originals'; the other texts are ours.

/// Win32: a file holds no PEM block, or a broken one.
pub(super) const BAD_FORMAT: u32 = 11;
/// Win32: asked for something that this version does not do.
pub(super) const NOT_SUPPORTED: u32 = 50;
/// Win32: a value or an option is wrong.
pub(super) const INVALID_PARAMETER: u32 = 87;
/// Win32: no service answers. The original shows an RPC number here; this one says what is wrong.
pub(super) const SERVICE_NOT_ACTIVE: u32 = 1062;
/// Win32: options that do not go together.
pub(super) const INVALID_STATE: u32 = 5023;
/// VMCA: a command lacks something, or its configuration file cannot be read.
pub(super) const ARGUMENT_ERROR: u32 = 70003;
/// VMCA: a key could not be made.
pub(super) const KEY_CREATION_FAILURE: u32 = 70007;
/// VMCA: a certificate cannot be parsed.
pub(super) const CERT_DECODE_FAILURE: u32 = 70008;
/// VMCA: a key file cannot be read or written.
pub(super) const KEY_IO_FAILURE: u32 = 70009;
/// VMCA: a certificate file cannot be read or written.
pub(super) const CERT_IO_FAILURE: u32 = 70010;
/// VMCA: a subject or an alternative name has a bad value.
pub(super) const INVALID_CSR_FIELD: u32 = 70012;
/// VMCA: a key is too short, or of a kind that is not accepted.
pub(super) const INVALID_KEY_LENGTH: u32 = 70015;
/// VMCA: a revocation list cannot be written to its file.
pub(super) const CRL_LOCAL_ERROR: u32 = 70021;
/// VMCA: a file or the output cannot be written.
pub(super) const FILE_IO_ERROR: u32 = 70022;
/// VMCA: a chain does not end in a self-signed certificate.
pub(super) const INCOMPLETE_CHAIN: u32 = 70062;
/// VMCA: a chain is in the wrong order.
pub(super) const INVALID_CHAIN: u32 = 70063;
/// VMCA: a request could not be built.
pub(super) const CANNOT_FORM_REQUEST: u32 = 70064;
/// VMCA: a private key cannot be parsed.
pub(super) const KEY_DECODE_FAILURE: u32 = 70065;
/// VMCA: an IP address is not one.
pub(super) const SAN_IPADDR_INVALID: u32 = 70069;
/// VMCA: the service answered in words that are not ours.
pub(super) const UNAVAILABLE: u32 = 70078;
/// VMCA: what was typed cannot be understood.
pub(super) const UNKNOWN_ERROR: u32 = 70101;
/// VECS: a file cannot be read or written.
pub(super) const VECS_FILE_IO: u32 = 90001;
/// VECS: a certificate file cannot be read.
pub(super) const VECS_CERT_IO: u32 = 90017;
/// VECS: the service answered in words that are not ours.
pub(super) const VECS_UNKNOWN_ERROR: u32 = 90101;
/// DCE-RPC: nobody listens, or the host is not this one.
pub(super) const RPC_CONNECT_REJECTED: u32 = 0x16c9_a042;

/// The text beside `Error Message :` of certool. Order of the lookup: VMCA, RPC, Win32.
pub(super) fn certool_text(code: u32) -> String {
    if let Some(text) = vmca_text(code) {
        return text.to_owned();
    }
    match (code, win32_name(code)) {
        (RPC_CONNECT_REJECTED, _) => {
            "Failed to connect to the remote host, reason = rpc_s_connect_rejected (0x16c9a042)."
                .to_owned()
        }
        (_, Some(name)) => format!("Operation failed with error = {name} ({code})"),
        (_, None) => vecs_text(code).unwrap_or("Unknown error").to_owned(),
    }
}

/// The text on the failure line of vecs-cli.
pub(super) fn vecs_cli_text(code: u32) -> String {
    if let Some(name) = win32_name(code) {
        return format!("Operation failed with error {name} ({code})");
    }
    vecs_text(code).or_else(|| vmca_text(code)).unwrap_or("Unknown error").to_owned()
}

const fn win32_name(code: u32) -> Option<&'static str> {
    Some(match code {
        2 => "ERROR_FILE_NOT_FOUND",
        5 => "ERROR_ACCESS_DENIED",
        BAD_FORMAT => "ERROR_BAD_FORMAT",
        14 => "ERROR_OUTOFMEMORY",
        NOT_SUPPORTED => "ERROR_NOT_SUPPORTED",
        INVALID_PARAMETER => "ERROR_INVALID_PARAMETER",
        112 => "ERROR_DISK_FULL",
        183 => "ERROR_ALREADY_EXISTS",
        SERVICE_NOT_ACTIVE => "ERROR_SERVICE_NOT_ACTIVE",
        170 => "ERROR_BUSY",
        1168 => "ERROR_NOT_FOUND",
        1323 => "ERROR_WRONG_PASSWORD",
        1359 => "ERROR_INTERNAL_ERROR",
        1816 => "ERROR_NOT_ENOUGH_QUOTA",
        4312 => "ERROR_OBJECT_NOT_FOUND",
        INVALID_STATE => "ERROR_INVALID_STATE",
        _ => return None,
    })
}

const fn vecs_text(code: u32) -> Option<&'static str> {
    Some(match code {
        VECS_FILE_IO => "File cannot be read or written",
        90002 => "CRL file cannot be opened",
        90003 => "Buffer too small",
        90004 => "CRL file cannot be written",
        90005 => "Alias name not usable",
        90006 => "Alias not unique",
        90007 => "No certificate found",
        90008 => "CRL input or output failed",
        90009 => "No task queue",
        90010 => "No task",
        90011 => "No start routine",
        90012 => "Task queue full",
        90013 => "Task queue empty",
        90014 => "Task not found",
        90015 => "No task ready",
        90016 => "Out of memory",
        VECS_CERT_IO => "Certificate file cannot be read or written",
        90018 => "Private key does not match the certificate",
        90019 => "Domain controller name missing",
        90020 => "Credentials missing",
        90021 => "Not joined to a domain",
        VECS_UNKNOWN_ERROR => "Unknown VECS error",
        _ => return None,
    })
}

const fn vmca_text(code: u32) -> Option<&'static str> {
    Some(match code {
        70000 => "Root CA is not initialised",
        70001 => "Root CA exists already",
        70002 => "Validity period not allowed",
        ARGUMENT_ERROR => "Missing or invalid argument",
        70004 => "Timed out",
        70005 => "Out of memory",
        70006 => "Certificate request not readable",
        KEY_CREATION_FAILURE => "Key creation failed",
        CERT_DECODE_FAILURE => "Certificate not readable",
        KEY_IO_FAILURE => "Key file cannot be read or written",
        CERT_IO_FAILURE => "Certificate file cannot be read or written",
        70011 => "Not a CA Cert",
        INVALID_CSR_FIELD => "Invalid CSR field",
        70013 => "Self signature failed",
        70014 => "CA cannot be used",
        INVALID_KEY_LENGTH => "Key length or kind not accepted",
        70016 | 70017 => "PKCS#12 not supported",
        70018 => "CRL error",
        70019 => "No newer CRL",
        70020 => "CRL not readable",
        CRL_LOCAL_ERROR => "CRL file cannot be written",
        FILE_IO_ERROR => "File input or output failed",
        70023 => "File time not readable",
        70024 => "File cannot be removed",
        70025 => "Public key cannot be set",
        70026 => "Extension cannot be added",
        70027 => "Request cannot be signed",
        70028 => "Random numbers not available",
        70029 => "Certificate cannot be signed",
        70030 => "Time not usable",
        70031 => "Extension not usable",
        70032 => "Signing failed",
        70033 => "Issuer name cannot be set",
        70034 => "Start Time Error",
        70035 => "End Time Error",
        70036 => "Extension cannot be set",
        70037 => "Cert/Key pair does not match",
        70038 => "Domain name not valid",
        70039 => "User name not valid",
        70040 | 70041 => "Credential cache not found",
        70042 => "Access denied",
        70043 | 70045 => "Host name lookup failed",
        70044 => "Not implemented",
        70046 => "CRL serial number cannot be set",
        70047 => "CRL time cannot be set",
        70048 => "Certificate is revoked already",
        70049 => "CRL number not readable",
        70050 => "CRL cannot be signed",
        70051 => "CRL reason not usable",
        70052 => "CRL cannot be sorted",
        70053 => "CRL time missing",
        70054 => "CRL cannot be decoded",
        70055..=70058 => "Directory or data folder failed",
        70059 => "Distinguished name cannot be converted",
        70060 => "Subject name not allowed",
        70061 => "Subject alternative name not allowed",
        INCOMPLETE_CHAIN => "Certificate Chain is not complete",
        INVALID_CHAIN => "Certificate chain is not in order",
        CANNOT_FORM_REQUEST => "Certificate request cannot be built",
        KEY_DECODE_FAILURE => "Private key not readable",
        70067 => "Common name does not match the host name",
        70068 => "Alternative name does not match the host name",
        SAN_IPADDR_INVALID => "IP address not valid",
        70070 => "Cryptographic library failed",
        70071 => "URI not valid",
        70072 => "Parameter missing",
        70073 => "Method not valid",
        70074 => "Library cannot be loaded",
        70075 => "No such file or folder",
        70076 => "Authorisation data not valid",
        70077 => "Request not valid",
        UNAVAILABLE => "Service not available",
        70079 => "Library symbol not found",
        70080 => "Digest failed",
        70090 => "JSON file cannot be loaded",
        70091 => "JSON cannot be parsed",
        70095 => "Refused by policy",
        70096 => "Policy not valid",
        70097 => "Entry not found",
        70098 => "State not valid",
        70099 => "Entry not valid",
        UNKNOWN_ERROR => "Unknown error",
        70102 => "Buffer cannot be read",
        70110 => "Key security not initialised",
        70111 => "Key security initialised already",
        70112 => "Key security module not valid",
        70113 => "Key is in use already",
        70114 | 70115 => "Key not found",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{certool_text, vecs_cli_text};

    #[test]
    fn texts_that_scripts_match_on_are_the_originals() {
        for (code, text) in [
            (70011, "Not a CA Cert"),
            (70034, "Start Time Error"),
            (70012, "Invalid CSR field"),
            (70037, "Cert/Key pair does not match"),
            (70062, "Certificate Chain is not complete"),
            (
                382_312_514,
                "Failed to connect to the remote host, reason = rpc_s_connect_rejected (0x16c9a042).",
            ),
            (87, "Operation failed with error = ERROR_INVALID_PARAMETER (87)"),
        ] {
            assert_eq!(certool_text(code), text);
        }
        assert_eq!(vecs_cli_text(87), "Operation failed with error ERROR_INVALID_PARAMETER (87)");
    }
}
