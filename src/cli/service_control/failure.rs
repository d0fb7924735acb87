//! The original's record of a failure, for programs that read our output.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::flags::Operation;
use crate::base::Service;

/// The original's record of a failure; the order of its keys is the order here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    detail: [Message<'a>; 1],
    component_key: Option<&'a str>,
    problem_id: Option<&'a str>,
    resolution: Option<&'a str>,
}

/// A message with its parts, so that it can be shown in another language.
#[derive(Serialize)]
struct Message<'a> {
    id: String,
    translatable: String,
    args: [&'a str; 1],
    localized: String,
}

/// The JSON that follows `Details` and `Error:`.
pub(super) fn json(operation: Operation, service: Service) -> String {
    let verb = operation.verb();
    let sentence = |name: &str| format!("The {verb} of service '{name}' failed.");
    let details = Details {
        detail: [Message {
            id: format!("install.ciscommon.service.fail{verb}"),
            translatable: sentence("%(0)s"),
            args: [service.name()],
            localized: sentence(service.name()),
        }],
        component_key: None,
        problem_id: None,
        resolution: None,
    };
    let mut text = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    // Writing strings into memory does not fail.
    let _written = details.serialize(&mut serializer);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Operation, json};
    use crate::base::Service;

    #[test]
    fn a_failure_has_the_keys_of_the_original() {
        let text = json(Operation::Start, Service::Vmcad);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "detail": [{
                "id": "install.ciscommon.service.failstart",
                "translatable": "The start of service '%(0)s' failed.",
                "args": ["vmcad"],
                "localized": "The start of service 'vmcad' failed.",
            }],
            "componentKey": null,
            "problemId": null,
            "resolution": null,
        });
        assert_eq!(value, expected);
        assert!(text.starts_with("{\n    \"detail\": [\n"), "{text}");
    }
}
