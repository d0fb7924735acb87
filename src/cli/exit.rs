//! Exit status of every tool: the one place where an error number becomes a status.

use std::process::ExitCode;

/// The originals return the whole number from `main`, of which a shell sees the lowest eight bits.
/// No code in use ends in a zero octet, so a failure never looks like success.
pub(super) fn status(code: u32) -> ExitCode {
    ExitCode::from(code.to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::super::codes;

    #[test]
    fn no_failure_ends_in_a_status_of_zero() {
        for code in (70000..=70115).chain(90001..=90021).chain([
            90101,
            codes::RPC_CONNECT_REJECTED,
            codes::SERVICE_NOT_ACTIVE,
        ]) {
            assert_ne!(code % 256, 0, "{code}");
        }
    }
}
