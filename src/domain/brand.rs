//! An organization's colour made readable: the ink to write on it, and the colour itself as text on light and dark grounds.
//!
//! Every pair has a contrast of at least 4.5:1 by WCAG 2.2 (§1.4.3, relative luminance), whatever the colour. Pure.

use std::fmt;
use std::str::FromStr;

/// The contrast that WCAG 2.2 level AA asks of text.
pub const CONTRAST_MIN: f64 = 4.5;

/// The hardest grounds that brand-coloured text stands on: the darkest surface of the light theme and the lightest of the
/// dark one (in both the bubble of staff), so that every other ground contrasts more.
const LIGHT_GROUND: Color = Color { red: 0xe3, green: 0xe7, blue: 0xfc };
const DARK_GROUND: Color = Color { red: 0x25, green: 0x2a, blue: 0x47 };
const WHITE: Color = Color { red: 255, green: 255, blue: 255 };
const INK_DARK: Color = Color { red: 0x0f, green: 0x0f, blue: 0x0f };

/// Steps of the way from the brand colour to black or white.
const MIX_STEPS: u32 = 64;

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
}

/// The colours a page needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brand {
    /// The organization's colour.
    pub color: Color,
    /// Text and icons on it.
    pub ink: Color,
    /// The colour as text on light grounds.
    pub text_light: Color,
    /// The colour as text on dark grounds.
    pub text_dark: Color,
}

impl Brand {
    /// The brand of a colour.
    pub fn of(color: Color) -> Self {
        Self {
            color,
            ink: ink_on(color),
            text_light: towards(color, Color::BLACK, LIGHT_GROUND),
            text_dark: towards(color, WHITE, DARK_GROUND),
        }
    }
}

impl Color {
    /// Black.
    pub const BLACK: Self = Self { red: 0, green: 0, blue: 0 };

    /// Relative luminance, 0 (black) to 1 (white).
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    /// The contrast ratio of two colours, 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn mix(self, other: Self, step: u32) -> Self {
        let channel = |from: u8, to: u8| {
            let mixed = (u32::from(from) * (MIX_STEPS - step) + u32::from(to) * step) / MIX_STEPS;
            u8::try_from(mixed).expect("a mean of two bytes is a byte")
        };
        Self {
            red: channel(self.red, other.red),
            green: channel(self.green, other.green),
            blue: channel(self.blue, other.blue),
        }
    }
}

/// The soft dark or white, whichever contrasts more; pure black where neither is enough. One of black and white always is:
/// their contrasts with any colour multiply to 21.
fn ink_on(color: Color) -> Color {
    let soft = if color.contrast(INK_DARK) >= color.contrast(WHITE) { INK_DARK } else { WHITE };
    if color.contrast(soft) >= CONTRAST_MIN { soft } else { Color::BLACK }
}

/// The colour, moved towards `end` no further than readable text on `ground` needs.
fn towards(color: Color, end: Color, ground: Color) -> Color {
    (0..=MIX_STEPS).map(|step| color.mix(end, step)).find(|mixed| mixed.contrast(ground) >= CONTRAST_MIN).unwrap_or(end)
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

/// Not `#` and six hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a colour is # and six hexadecimal digits")]
pub struct NotAColor;

impl FromStr for Color {
    type Err = NotAColor;

    fn from_str(text: &str) -> Result<Self, NotAColor> {
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = u32::from_str_radix(digits.ok_or(NotAColor)?, 16).map_err(|_| NotAColor)?;
        let [_, red, green, blue] = value.to_be_bytes();
        Ok(Self { red, green, blue })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_are_read_and_written() {
        let color: Color = "#4F46e5".parse().unwrap();
        assert_eq!(color.to_string(), "#4f46e5");
        for text in ["", "#", "4f46e5", "#4f46e", "#4f46e5a", "#4f46eg", "#+f46e5", "#é46e5"] {
            assert_eq!(text.parse::<Color>(), Err(NotAColor), "{text}");
        }
    }

    #[test]
    fn contrast_is_that_of_the_recommendation() {
        assert!((Color::BLACK.contrast(WHITE) - 21.0).abs() < 1e-9);
        let grey: Color = "#767676".parse().unwrap();
        assert!((grey.contrast(WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn a_readable_colour_is_kept_as_it_is() {
        let indigo: Color = "#4f46e5".parse().unwrap();
        let brand = Brand::of(indigo);
        assert_eq!((brand.text_light, brand.ink), (indigo, WHITE));
        assert_ne!(brand.text_dark, indigo);
    }

    proptest! {
        #[test]
        fn every_pair_is_readable(red: u8, green: u8, blue: u8) {
            let brand = Brand::of(Color { red, green, blue });
            prop_assert!(brand.color.contrast(brand.ink) >= CONTRAST_MIN);
            for ground in [LIGHT_GROUND, WHITE] {
                prop_assert!(brand.text_light.contrast(ground) >= CONTRAST_MIN);
            }
            for ground in [DARK_GROUND, INK_DARK, Color::BLACK] {
                prop_assert!(brand.text_dark.contrast(ground) >= CONTRAST_MIN);
            }
        }
    }
}
