//! The user's own expressions.

use regex::bytes::Regex;

use crate::work::{OVERLAP, PIECE, Work};

/// Steps of a search, beside the bytes that it reads.
const SEARCH: usize = 8;
/// Steps of a search that also finds the group, which costs far more.
const SEARCH_OF_GROUP: usize = 32;

/// Reports where the expression matches, or where its first group does. Matches of nothing are left out. In a text that is longer than a piece, a match that goes on
/// behind its piece for more than the overlap ends there.
pub(super) fn find(regex: &Regex, text: &[u8], work: &Work, found: &mut dyn FnMut(usize, usize)) {
    let has_group = regex.captures_len() > 1;
    let mut groups = regex.capture_locations();
    let (mut from, mut piece) = (0, 0);
    while from <= text.len() && !work.is_spent() {
        // Once the first pieces are done.
        piece = if from >= piece + PIECE { from } else { piece };
        let is_last = text.len() <= piece + PIECE + OVERLAP;
        let limit = if is_last { text.len() } else { piece + PIECE + OVERLAP };
        let Some(window) = text.get(..limit) else { return };
        work.search(limit - from);
        let whole =
            if has_group { regex.captures_read_at(&mut groups, window, from) } else { regex.find_at(window, from) };
        let whole = whole.filter(|whole| is_last || whole.start() < piece + PIECE);
        let Some(whole) = whole else {
            work.spend(limit - from);
            if is_last {
                return;
            }
            from = piece + PIECE;
            continue;
        };
        work.spend(whole.end() - from + if has_group { SEARCH_OF_GROUP } else { SEARCH });
        let place = if has_group { groups.get(1) } else { Some((whole.start(), whole.end())) };
        if let Some((start, end)) = place.filter(|(start, end)| start < end) {
            work.found();
            found(start, end);
        }
        from = whole.end() + usize::from(whole.is_empty());
    }
}

#[cfg(test)]
mod tests;
