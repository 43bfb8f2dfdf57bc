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
        if is_blank(&text) {
            return Err(TextError::Empty);
        }
        if text.chars().count() > TEXT_CHARS_MAX {
            return Err(TextError::TooLong);
        }
        if text.chars().any(is_unfit) {
            return Err(TextError::Control);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Whether a character has no place in any text: a control character that is neither a line's end nor a tab.
pub fn is_unfit(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

/// Whether nothing of a text can be seen.
pub fn is_blank(text: &str) -> bool {
    !text.chars().any(is_visible)
}

/// Whether a character shows, by itself or together with others: no space, no control, none of Unicode's characters
/// without a glyph (`Default_Ignorable_Code_Point`, UAX #44) and none of its blanks and fillers.
pub fn is_visible(c: char) -> bool {
    let has_no_glyph = matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    !has_no_glyph && !c.is_whitespace() && !c.is_control()
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
        for blank in ["", " \n\t", "\u{200b}", "\u{200d}\u{fe0f}", "\u{3164}\u{2800}"] {
            assert_eq!(MessageText::parse(blank.into()), Err(TextError::Empty), "{blank:?}");
        }
        assert!(MessageText::parse("👩\u{200d}👧".into()).is_ok() && MessageText::parse("\u{202b}שלום".into()).is_ok());
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
