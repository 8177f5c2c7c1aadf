//! Paths under `/g`: which grain, which method. Each part is percent-decoded on its own, so that a key may hold `/` as `%2F`.

use std::borrow::Cow;

use granary_core::id::{GrainId, IdError, Key, KindName};

/// What a path under `/g/` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/g/{kind}/$batch`
    Batch {
        /// The kind.
        kind: KindName,
    },
    /// `/g/{kind}/{key}`
    Grain {
        /// Which.
        grain: GrainId,
    },
    /// `/g/{kind}/{key}/{method}`
    Method {
        /// Which grain.
        grain: GrainId,
        /// The method, decoded.
        method: Cow<'a, str>,
    },
    /// `/g/{kind}/{key}/http/…`
    Raw {
        /// Which grain.
        grain: GrainId,
        /// The path that the guest sees, as it came: it begins with `/`.
        rest: &'a str,
    },
}

/// Why a path names nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathError {
    /// Not one of the four forms.
    #[error(
        "a path under /g is /g/KIND/KEY, /g/KIND/KEY/METHOD, /g/KIND/KEY/http/… or /g/KIND/$batch"
    )]
    Form,
    /// A `%` without two hexadecimal digits.
    #[error(
        "the {part} has a '%' that is not followed by two hexadecimal digits; write a '%' itself as %25"
    )]
    Escape {
        /// Which part.
        part: &'static str,
    },
    /// Not UTF-8.
    #[error("the {part} is not UTF-8")]
    NotUtf8 {
        /// Which part.
        part: &'static str,
    },
    /// Not an identity.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// Reads what follows `/g/`.
pub(super) fn parse(path: &str) -> Result<Target<'_>, PathError> {
    let (kind, rest) = path.split_once('/').ok_or(PathError::Form)?;
    let kind = KindName::parse(&decode(kind, "kind")?)?;
    // Compared before decoding: a grain whose key is "$batch" is written %24batch.
    if rest == "$batch" {
        return Ok(Target::Batch { kind });
    }
    let (key, rest) = match rest.split_once('/') {
        Some((key, rest)) => (key, Some(rest)),
        None => (rest, None),
    };
    let key = Key::parse(&decode(key, "key")?)?;
    let grain = GrainId::new(kind, key);
    let Some(rest) = rest else {
        return Ok(Target::Grain { grain });
    };
    match rest.strip_prefix("http") {
        Some(guest) if guest.starts_with('/') => return Ok(Target::Raw { grain, rest: guest }),
        Some(_) | None => {}
    }
    if rest.is_empty() || rest.contains('/') {
        return Err(PathError::Form);
    }
    Ok(Target::Method {
        grain,
        method: decode(rest, "method")?,
    })
}

/// Writes a part so that [`parse`] reads it again.
pub(crate) fn encode(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!'()*,;:@+=&".contains(&byte) {
            out.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// Takes the percent signs out of one part.
fn decode<'a>(text: &'a str, part: &'static str) -> Result<Cow<'a, str>, PathError> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = after.first_chunk::<2>().ok_or(PathError::Escape { part })?;
        let (high, low) = (hex(digits[0]), hex(digits[1]));
        let (Some(high), Some(low)) = (high, low) else {
            return Err(PathError::Escape { part });
        };
        bytes.push(high << 4 | low);
        rest = &after[2..];
    }
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| PathError::NotUtf8 { part })
}

/// Takes the percent signs out of a text; none if that gives no UTF-8.
pub(super) fn decoded(text: &str) -> Option<String> {
    decode(text, "text").ok().map(Cow::into_owned)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grain(text: &str) -> GrainId {
        GrainId::parse(text).unwrap()
    }

    #[test]
    fn the_four_forms_are_told_apart() {
        assert_eq!(
            parse("cart/$batch"),
            Ok(Target::Batch {
                kind: KindName::parse("cart").unwrap()
            })
        );
        assert_eq!(
            parse("cart/7"),
            Ok(Target::Grain {
                grain: grain("cart/7")
            })
        );
        assert_eq!(
            parse("cart/a%2Fb/put"),
            Ok(Target::Method {
                grain: grain("cart/a/b"),
                method: "put".into()
            })
        );
        assert_eq!(
            parse("cart/7/http/a//b"),
            Ok(Target::Raw {
                grain: grain("cart/7"),
                rest: "/a//b"
            })
        );
        assert_eq!(
            parse("cart/7/http/"),
            Ok(Target::Raw {
                grain: grain("cart/7"),
                rest: "/"
            })
        );
        assert_eq!(
            parse("cart/7/http"),
            Ok(Target::Method {
                grain: grain("cart/7"),
                method: "http".into()
            })
        );
        assert_eq!(
            parse("cart/7/https"),
            Ok(Target::Method {
                grain: grain("cart/7"),
                method: "https".into()
            })
        );
        assert_eq!(
            parse("cart/%24batch"),
            Ok(Target::Grain {
                grain: grain("cart/$batch")
            })
        );
    }

    #[test]
    fn each_mistake_has_its_error() {
        assert_eq!(parse("cart"), Err(PathError::Form));
        assert_eq!(parse("cart/7/"), Err(PathError::Form));
        assert_eq!(parse("cart/7/put/more"), Err(PathError::Form));
        assert_eq!(parse("cart//put"), Err(PathError::Id(IdError::KeyEmpty)));
        assert_eq!(parse("cart/"), Err(PathError::Id(IdError::KeyEmpty)));
        assert_eq!(
            parse("Cart/7"),
            Err(PathError::Id(IdError::KindCharacter {
                text: "Cart".into()
            }))
        );
        assert_eq!(parse("cart/%/x"), Err(PathError::Escape { part: "key" }));
        assert_eq!(parse("cart/%2/x"), Err(PathError::Escape { part: "key" }));
        assert_eq!(parse("cart/%+1/x"), Err(PathError::Escape { part: "key" }));
        assert_eq!(parse("cart/%ff/x"), Err(PathError::NotUtf8 { part: "key" }));
        assert_eq!(
            parse("cart/a%0Ab/x"),
            Err(PathError::Id(IdError::KeyControl { at: 1 }))
        );
        let long = format!("cart/{}/x", "%6B".repeat(513));
        assert_eq!(
            parse(&long),
            Err(PathError::Id(IdError::KeyTooLong { actual: 513 }))
        );
        let fits = format!("cart/{}/x", "%6B".repeat(512));
        assert!(parse(&fits).is_ok());
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ignored = parse(&path);
            let _ignored = parse(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn what_is_encoded_is_decoded(key in "\\PC{1,60}", method in "[^/]{1,20}") {
            prop_assume!(Key::parse(&key).is_ok());
            let path = format!("cart/{}/{}", encode(&key), encode(&method));
            let expected = Target::Method { grain: GrainId::new(KindName::parse("cart").unwrap(), Key::parse(&key).unwrap()), method: method.into() };
            prop_assert_eq!(parse(&path), Ok(expected));
        }
    }
}
