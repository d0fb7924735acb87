//! Nodes of the deployment. There is one: this machine.

use super::Directory;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Host name: the primary network identifier.
    pub name: String,
    /// What the node is, in the original's word.
    pub node_type: &'static str,
}

impl Directory {
    /// All nodes.
    pub fn nodes(&self) -> Vec<Node> {
        vec![Node { name: self.node_name.clone(), node_type: "Management" }]
    }
}
