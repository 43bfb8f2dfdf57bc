//! Text that people write, checked once: what may be stored, and how it is shortened for a list.
//!
//! Plain text only, never markup. PostgreSQL cannot hold U+0000, and the other C0 controls have no place in a message.

use parlour_protocol::limits::TEXT_CHARS_MAX;

/// The text of a message or note: 1 to 8,000 code points, no control characters but line feed and tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageText(String);

/// Why a text cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Over the limit.
    #[error("must have at most {TEXT_CHARS_MAX} characters")]
    TooLong,
    /// A control character.
    #[error("must not contain control characters")]
    Control,
}

impl MessageText {
    /// Checks a text.
    ///
    /// # Errors
    /// When it is empty, too long or holds a control character.
    pub fn parse(text: String) -> Result<Self, TextError> {
        if text.trim().is_empty() {
            return Err(TextError::Empty);
        }
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(TextError::TooLong);
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(TextError::Control);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// At most `chars` characters of a text on one line, with an ellipsis where it was cut.
pub fn preview(text: &str, chars: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars {
        return line;
    }
    let cut: String = line.chars().take(chars.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_checked_at_its_limits() {
        assert!(MessageText::parse("x".repeat(TEXT_CHARS_MAX)).is_ok());
        assert_eq!(MessageText::parse("é".repeat(TEXT_CHARS_MAX + 1)), Err(TextError::TooLong));
        assert_eq!(MessageText::parse(" \n\t".into()), Err(TextError::Empty));
        assert_eq!(MessageText::parse("a\u{0}b".into()), Err(TextError::Control));
        assert_eq!(MessageText::parse("a\u{1b}b".into()), Err(TextError::Control));
        assert!(MessageText::parse("two\nlines\tand a tab".into()).is_ok());
    }

    #[test]
    fn a_preview_is_one_line_of_bounded_length() {
        assert_eq!(preview("a\n  b", 10), "a b");
        assert_eq!(preview("abcdef", 4), "abc…");
        assert_eq!(preview("abcd", 4), "abcd");
    }
}
