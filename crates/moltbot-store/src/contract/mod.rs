//! What every backend must do, as cases that panic where it does not.
//!
//! [`contract!`](crate::contract!) makes a test of each case. A role adds its file here, and its cases to the list.

pub mod counters;
pub mod experiments;
pub mod inbox;
pub mod keys;
pub mod kv;
pub mod ledger;
pub mod outbox;
pub mod sessions;

/// Makes one `#[tokio::test]` of each case, each with a store of its own from the expression given.
#[macro_export]
macro_rules! contract {
    ($store:expr) => {
        $crate::contract! {
            @cases $store;
            keys: a_kept_key_is_found_in_its_workspace_alone, an_id_is_taken_once, a_revoked_key_keeps_its_first_time,
                a_rotated_key_names_its_heir, only_a_key_in_use_is_rotated, the_latest_use_counts;
            ledger: sums_are_exact_by_workspace_model_key_and_day, a_row_told_twice_counts_once,
                a_query_narrows, a_request_is_found_in_its_workspace_alone, sums_outlive_their_rows;
            counters: the_last_state_counts, old_counters_are_forgotten;
            kv: values_are_of_their_workspace_and_skill, a_large_value_is_refused;
            experiments: a_name_is_taken_once_in_a_workspace, rows_come_back_in_order_and_count_once,
                the_last_judgement_counts, a_request_leads_to_its_experiment;
            inbox: a_message_is_kept_once_in_its_channel, what_was_ended_as_it_came_is_opened_by_a_later_event,
                a_message_ends_once_with_all_that_comes_of_it, what_waits_is_never_forgotten;
            outbox: sendings_keep_their_order_and_their_keys, a_closed_row_is_not_tried_again,
                only_what_did_not_arrive_is_resent, a_row_is_of_its_workspace, a_text_that_grew_is_prepared_anew;
            sessions: the_last_exchanges_are_told_in_order, a_conversation_ends_without_messages,
                a_cleared_conversation_keeps_its_model;
        }
    };
    (@cases $store:expr; $($role:ident: $($case:ident),+;)+) => {
        $(mod $role {
            $(#[tokio::test]
            async fn $case() {
                let (store, _kept) = $store.await;
                $crate::contract::$role::$case(&store).await;
            })+
        })+
    };
}

use jiff::Timestamp;

/// `seconds` after a fixed time.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("within range")
}
