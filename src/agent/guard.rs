//! What stands around the agent's work: the sandbox it enters before the module is loaded, and the policy that looks at
//! everything it is to sign.

use std::path::PathBuf;
use std::sync::Arc;

use hsm::agent::Guard;
use hsm::{KeyReference, Purpose, TokenConfig};

use crate::base::{Layout, SystemClock, sentences};
use crate::config::{TokenRole, TokenSection};
use crate::hardening::Sandbox;
use crate::policy::{CaPolicy, Mode, SealingPolicy};

pub(super) struct AgentGuard {
    role: TokenRole,
    sandbox: Sandbox,
    ca: CaPolicy,
    sealing: SealingPolicy,
}

impl AgentGuard {
    pub(super) fn new(layout: &Layout, role: TokenRole, section: &TokenSection) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let mut sandbox = section.agent_sandbox(credentials.as_deref());
        // The issuers that the policy knows are below it.
        sandbox.readable.push(layout.token_home(role.name()));
        let issuers = layout.issuers(role.name());
        Self {
            role,
            sandbox,
            ca: CaPolicy::new(Mode::Service, issuers, Arc::new(SystemClock)),
            sealing: SealingPolicy,
        }
    }
}

impl Guard for AgentGuard {
    fn enter(&self, _token: &TokenConfig) -> Result<(), String> {
        let report = self.sandbox.enter().map_err(|refusal| sentences(&refusal))?;
        tracing::info!("token agent ({}): {}", self.role, report.summary());
        for gap in report.gaps() {
            tracing::warn!("token agent ({}): {gap}", self.role);
        }
        Ok(())
    }

    fn judge(&self, purpose: Purpose, key: &KeyReference, message: &[u8]) -> Result<(), String> {
        match self.role {
            TokenRole::Ca => self.ca.judge(purpose, key, message),
            TokenRole::Sealing => {
                Err("the keys in the sealing token seal and wrap, and sign nothing".to_owned())
            }
        }
    }

    fn judge_sealed(
        &self,
        purpose: Purpose,
        public_key: &[u8],
        message: &[u8],
    ) -> Result<(), String> {
        match self.role {
            TokenRole::Sealing => self.sealing.judge(purpose, public_key, message),
            TokenRole::Ca => Err("the CA token opens no stored keys".to_owned()),
        }
    }
}
