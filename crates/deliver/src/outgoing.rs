//! What a copy of a message gets on top on its way out. Each hand puts its fields above those of
//! the hand before, so that readers see them in the order of time, newest first.
//!
//! Not here: what a field says (`sign`, `seal`), sending it (`session`).

use std::sync::Arc;

use relais_store::queue::Leased;

use crate::context::DeliverContext;
use crate::front::{Front, Withheld};
use crate::seal::{Sealed, seal};
use crate::sender;
use crate::sign::{ReadyKeys, Signed, sign};

/// For a message about to leave.
pub(crate) async fn front(
    context: &DeliverContext,
    keys: &ReadyKeys,
    leased: &Leased,
) -> Result<Front, Withheld> {
    let mut front = Front::default();
    let Signed {
        field,
        by,
        unsigned,
    } = sign(context, keys, leased).await?;
    front.put_on_top(&field);
    front.signed_by = by;
    front.note = unsigned;
    let Sealed { fields, note } = seal(context, keys, leased).await;
    front.put_on_top(&fields);
    let kept = sender::waits(context, leased).map(Into::into);
    let notes: Vec<Arc<str>> = [front.note.or(note), kept].into_iter().flatten().collect();
    front.note = (!notes.is_empty()).then(|| notes.join("; ").into());
    Ok(front)
}
