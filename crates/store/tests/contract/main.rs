//! One suite for every kind of store: what receive, deliver and admin rely on. Each rule is an
//! `async fn` over a [`world::World`]; the list at the end of each module runs it against all.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Runs each rule against each kind of store.
macro_rules! rules {
    ($($rule:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $rule() {
                super::$rule($crate::world::World::memory().await).await;
            })*
        }

        mod embedded {
            $(#[tokio::test]
            async fn $rule() {
                super::$rule($crate::world::World::embedded().await).await;
            })*
        }
    };
}

mod administering;
mod content;
mod history;
mod proofs;
mod queue;
mod refusing;
mod restricting;
mod secrets;
mod settings;
mod shelf;
mod suppressing;
mod trace;
mod world;
