//! A merchant's transfers to people: what is asked for, what is answered, and what is told of their end.

use serde::{Deserialize, Serialize};

/// `event_type` of a transfer that has ended.
pub const TRANSFER_FINISHED: &str = "MCHTRANSFER.BILL.FINISHED";

words! {
    /// State of a transfer.
    TransferState {
        /// Taken in; send the same again.
        Accepted = "ACCEPTED",
        /// The merchant's money is being held.
        Processing = "PROCESSING",
        /// The payee has to confirm.
        WaitUserConfirm = "WAIT_USER_CONFIRM",
        /// The payee has confirmed. (The platform spells it with one R.)
        Transferring = "TRANSFERING",
        /// The money has arrived.
        Success = "SUCCESS",
        /// It did not come about; `fail_reason` says why.
        Fail = "FAIL",
        /// It is being taken back.
        Canceling = "CANCELING",
        /// It was taken back.
        Cancelled = "CANCELLED",
    }
}

impl TransferState {
    /// Whether it has ended: nothing changes it any more. Only then may another number be taken for the same money.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Success | Self::Fail | Self::Cancelled)
    }
}

/// Request of `POST /v3/fund-app/mch-transfer/transfer-bills`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferRequest {
    /// App that knows the payee.
    pub appid: String,
    /// The merchant's number of the transfer, at most 32 letters and digits, unique per merchant.
    pub out_bill_no: String,
    /// What it is for: the number of a scene the merchant was granted.
    pub transfer_scene_id: String,
    /// The payee, as the app knows them.
    pub openid: String,
    /// The payee's name, encrypted (`Client::encrypt`). Needed from 2000 yuan on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// How much, in fen.
    pub transfer_amount: i64,
    /// What the payee reads, at most 32 characters.
    pub transfer_remark: String,
    /// Where the notification goes; none is sent if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_url: Option<String>,
    /// What the payee reads as the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_recv_perception: Option<String>,
    /// What the scene asks the merchant to report. The payee does not see it.
    pub transfer_scene_report_infos: Vec<TransferReport>,
    /// How the payee is shown it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_recv_style: Option<TransferStyle>,
}

/// One thing reported of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReport {
    /// What it is, at most 15 characters.
    pub info_type: String,
    /// What it says, at most 32 characters.
    pub info_content: String,
}

/// How a transfer is shown to its payee.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferStyle {
    /// `CONFIRM_PAGE` or `RED_PACKET`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// Reply to a transfer that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferReply {
    /// The merchant's number.
    pub out_bill_no: String,
    /// The platform's number.
    pub transfer_bill_no: String,
    /// When it was made, to the millisecond.
    pub create_time: String,
    /// How it stands.
    pub state: TransferState,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_reason: Option<String>,
    /// What brings the payee to the page where they confirm; while they have to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_info: Option<String>,
}

/// A transfer as queries show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferBill {
    /// Merchant number.
    pub mch_id: String,
    /// The merchant's number.
    pub out_bill_no: String,
    /// The platform's number.
    pub transfer_bill_no: String,
    /// App that knows the payee.
    pub appid: String,
    /// How it stands.
    pub state: TransferState,
    /// How much, in fen.
    pub transfer_amount: i64,
    /// What the payee reads.
    pub transfer_remark: String,
    /// Why it failed or was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_reason: Option<String>,
    /// The payee, as the app knows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    /// The payee's name as the merchant gave it, encrypted to the merchant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// When it was made, to the millisecond.
    pub create_time: String,
    /// When it came to stand as it does, to the millisecond.
    pub update_time: String,
}

/// Reply to a transfer that was to be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferCancelled {
    /// The merchant's number.
    pub out_bill_no: String,
    /// The platform's number.
    pub transfer_bill_no: String,
    /// `CANCELING` or `CANCELLED`.
    pub state: TransferState,
    /// When it came to stand as it does, to the millisecond.
    pub update_time: String,
}

/// A transfer that has ended, as a notification shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferNotice {
    /// The merchant's number.
    pub out_bill_no: String,
    /// The platform's number.
    pub transfer_bill_no: String,
    /// `SUCCESS`, `FAIL` or `CANCELLED`.
    pub state: TransferState,
    /// Merchant number.
    pub mch_id: String,
    /// How much, in fen.
    pub transfer_amount: i64,
    /// The payee, as the app knows them.
    pub openid: String,
    /// Why it failed or was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_reason: Option<String>,
    /// When it was made, to the millisecond.
    pub create_time: String,
    /// When it ended, to the millisecond.
    pub update_time: String,
}
