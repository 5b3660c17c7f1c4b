//! Long answers in parts: MaxResults and NextToken ("Amazon EC2 API Reference", "Pagination").

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::error::Error;
use super::filter::{Filter, Filters, Names};

/// Which of the resources a Describe action is to show.
pub(super) struct Selection<'a> {
    /// The request's filters.
    pub(super) filters: &'a [Filter],
    /// The filters that the action has.
    pub(super) names: &'a Names,
    /// Most of them in this answer.
    pub(super) most: Option<u32>,
    /// What the answer before gave, to go on after it.
    pub(super) next_token: Option<&'a str>,
    /// Whether they were asked for by their ids. Then they come in one answer.
    pub(super) by_id: bool,
}

/// A part of the resources.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// None if there are no more.
    pub(super) next_token: Option<String>,
}

const FEWEST: u32 = 5;
const MOST: u32 = 1000;

/// Selects among `all`, each with what tells it apart, in the order of these. A token names the last one shown, so
/// what is made or deleted between two parts neither hides nor repeats another.
pub(super) fn select<T: Serialize>(
    all: impl IntoIterator<Item = (String, T)>,
    selection: &Selection<'_>,
) -> Result<Page<T>, Error> {
    let most = match selection.most {
        None => None,
        Some(_) if selection.by_id => {
            return Err(Error::Combination("Ids and MaxResults cannot be used in the same request."));
        }
        Some(most) if (FEWEST..=MOST).contains(&most) => Some(most as usize),
        Some(most) => {
            return Err(Error::InvalidValue {
                value: most.to_string(),
                name: "MaxResults".to_owned(),
                reason: format!("Expecting a number between {FEWEST} and {MOST}."),
            });
        }
    };
    let after = selection.next_token.map(last_shown).transpose()?;
    let filters = Filters::new(selection.filters, selection.names)?;
    let mut rest = all
        .into_iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| key > after))
        .filter(|(_, shown)| filters.let_through(shown))
        .peekable();

    let mut page = Page { items: Vec::new(), next_token: None };
    while let Some((key, item)) = rest.next() {
        page.items.push(item);
        if most.is_some_and(|most| page.items.len() == most) && rest.peek().is_some() {
            page.next_token = Some(URL_SAFE_NO_PAD.encode(key));
            break;
        }
    }
    Ok(page)
}

fn last_shown(token: &str) -> Result<String, Error> {
    let key = URL_SAFE_NO_PAD.decode(token).map_err(|_| Error::InvalidNextToken)?;
    String::from_utf8(key).map_err(|_| Error::InvalidNextToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(most: Option<u32>, next_token: Option<&str>) -> Selection<'_> {
        Selection { filters: &[], names: &[], most, next_token, by_id: false }
    }

    fn all(numbers: impl IntoIterator<Item = u32>) -> impl Iterator<Item = (String, u32)> {
        numbers.into_iter().map(|n| (format!("{n:03}"), n))
    }

    #[test]
    fn parts_make_the_whole_whatever_happens_between() {
        let whole = select(all(0..12), &selection(None, None)).unwrap();
        assert_eq!((whole.items.len(), whole.next_token), (12, None));

        let first = select(all(0..12), &selection(Some(5), None)).unwrap();
        assert_eq!(first.items, [0, 1, 2, 3, 4]);
        // The last one shown is gone, and there is a new one before it.
        let later = all([0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]);
        let second = select(later, &selection(Some(7), first.next_token.as_deref())).unwrap();
        assert_eq!((second.items, second.next_token), ((5..12).collect(), None));
        assert_eq!(select(all(0..5), &selection(Some(5), None)).unwrap().next_token, None);
    }

    #[test]
    fn refused() {
        for (selection, code) in [
            (selection(Some(4), None), "InvalidParameterValue"),
            (selection(Some(1001), None), "InvalidParameterValue"),
            (selection(None, Some("!")), "InvalidNextToken"),
            (Selection { by_id: true, ..selection(Some(5), None) }, "InvalidParameterCombination"),
        ] {
            assert_eq!(select(all(0..9), &selection).unwrap_err().code(), code);
        }
    }
}
