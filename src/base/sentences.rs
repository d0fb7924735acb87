//! An error as an operator reads it.

use std::error::Error;
use std::fmt::Write as _;

/// The sentence of an error and of every cause beneath it, outermost first, in one line.
///
/// A layer that says again what the text above it says already is left out.
pub fn sentences(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            // Writing into a string does not fail.
            let _written = write!(text, ": {said}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::sentences;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("the token does not work")]
        Token(#[source] io::Error),
        #[error("nothing was issued ({0})")]
        Said(#[source] Box<Layer>),
    }

    #[test]
    fn every_layer_is_said_once() {
        let token = || Layer::Token(io::Error::other("no such slot"));
        assert_eq!(sentences(&token()), "the token does not work: no such slot");
        let outer = Layer::Said(Box::new(token()));
        assert_eq!(sentences(&outer), "nothing was issued (the token does not work): no such slot");
    }
}
