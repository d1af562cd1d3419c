//! Transfers to people: made, asked for, taken back (protocol specification 2.7).

use koudai_core::id::{MchId, PersonId, TransferId};
use koudai_core::identity::PersonName;
use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::{Identity, OutBillNo, Product, Transfer, TransferNumber, TransferState};
use koudai_core::secret::Secret;
use koudai_core::transfer::{CancelTransfer, CreateTransfer, Found, GivenName};
use koudai_networks::vault::Sealed;
use koudai_networks::{Reach, protocol};
use koudai_wechatpay::types::{TransferCancelled, TransferReply, TransferReport};
use serde::Deserialize;
use zeroize::Zeroize;

use super::fault::{Asked, Fault, failed, refusal, said};
use super::fields::{Fields, OUT_BILL_NO};
use super::orders::{MOST_FEN, check_notify_url, compact, fen, note};
use super::sensitive::unfit;
use super::{Call, Reply};

/// The least that may be sent, in fen.
const LEAST_FEN: i64 = 10;
/// The most that a red packet may hold, in fen.
const MOST_RED_PACKET_FEN: i64 = 20_000;
/// The most things reported of one transfer; scenes ask for three at most.
const MOST_REPORTS: usize = 10;
/// The field that names the payee, encrypted.
const USER_NAME: &str = "user_name";

/// `POST /v3/fund-app/mch-transfer/transfer-bills`.
pub(super) async fn create(call: Call) -> Result<Reply, Fault> {
    if !call.merchant.may_use(Product::Transfer) {
        return Err(refusal(Asked::Transfer, MerchantRefusal::ProductNotEnabled));
    }
    let (vault, appid) = (&call.app.networks.vault, &*call.merchant.appid);
    let (mut request, name) = call.fields(|fields| {
        let signer = (call.merchant.mchid, appid, call.app.networks.reach);
        let name = |fields: &Fields<'_>| call.sensitive(fields, USER_NAME, 1..=50);
        transfer_request(fields, signer, name, |openid| vault.person_of(appid, openid))
    })?;
    note(&request.out_bill_no);
    let (limiter, mchid, payee) = (&call.app.limiter, call.merchant.mchid, request.payee);
    let mut counted = false;
    if let Some(name) = name {
        // A name is tried on somebody only so often; the same request again is no other try.
        let key = OutBillNo { mchid, out_bill_no: request.out_bill_no.clone() };
        if call.app.engine.read(move |reader| reader.get::<TransferNumber>(&key)).await?.is_none() {
            limiter.name(mchid, payee, call.app.engine.now()).map_err(Fault::too_many_calls)?;
            counted = true;
        }
        request.name = Some(compare(&call, payee, &name).await?);
    }
    let made = call.app.engine.submit(request).await;
    if counted && !made.as_ref().is_ok_and(|made| made.failure.is_some()) {
        limiter.right_name(mchid, payee);
    }
    let made = made.map_err(|why| failed(Asked::Transfer, why))?;
    let waits = made.state == TransferState::Waiting;
    Ok(Reply::json(&TransferReply {
        transfer_bill_no: made.id.wire(),
        create_time: made.created_at.rfc3339_ms(),
        state: protocol::transfer_state(made.state),
        fail_reason: made.failure.map(|failure| protocol::fail_reason(failure).to_owned()),
        package_info: waits.then(|| format!("{}/transfers/{}", call.app.origin, made.id.wire())),
        out_bill_no: made.out_bill_no,
    }))
}

/// `GET /v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}`.
pub(super) async fn by_number(mut call: Call) -> Result<Reply, Fault> {
    let out_bill_no = OUT_BILL_NO.in_path(call.segment.take())?;
    note(&out_bill_no);
    let key = OutBillNo { mchid: call.merchant.mchid, out_bill_no };
    let found = call.app.engine.read(move |reader| {
        let number = reader.get::<TransferNumber>(&key)?;
        number.map_or(Ok(None), |number| reader.get::<Transfer>(&number.transfer))
    });
    show(&call, found.await?)
}

/// `GET /v3/fund-app/mch-transfer/transfer-bills/transfer-bill-no/{transfer_bill_no}`. A transfer of another merchant's is
/// as unknown as one that never was.
pub(super) async fn by_id(mut call: Call) -> Result<Reply, Fault> {
    let found = match call.segment.take().and_then(|text| TransferId::parse(&text)) {
        Some(id) => call.app.engine.read(move |reader| reader.get::<Transfer>(&id)).await?,
        None => None,
    };
    let mchid = call.merchant.mchid;
    let found = found.filter(|transfer| transfer.mchid == mchid);
    if let Some(transfer) = &found {
        note(&transfer.out_bill_no);
    }
    show(&call, found)
}

/// `POST /v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}/cancel`, with an empty body or `{}`.
pub(super) async fn cancel(mut call: Call) -> Result<Reply, Fault> {
    let out_bill_no = OUT_BILL_NO.in_path(call.segment.take())?;
    if !call.body.is_empty() {
        call.fields(|_| Ok(()))?;
    }
    note(&out_bill_no);
    let cancel = CancelTransfer { mchid: call.merchant.mchid, out_bill_no };
    let back = call.app.engine.submit(cancel).await.map_err(|why| failed(Asked::Transfer, why))?;
    Ok(Reply::json(&TransferCancelled {
        transfer_bill_no: back.id.wire(),
        state: protocol::transfer_state(back.state),
        update_time: back.updated_at().rfc3339_ms(),
        out_bill_no: back.out_bill_no,
    }))
}

fn show(call: &Call, transfer: Option<Transfer>) -> Result<Reply, Fault> {
    let transfer = transfer.ok_or_else(|| refusal(Asked::Transfer, MerchantRefusal::TransferUnknown))?;
    let vault = &call.app.networks.vault;
    let mut bill = protocol::transfer(&transfer, vault);
    if let Some(sealed) = &transfer.name_sealed {
        let name = vault.open_text(Sealed::PayeeName, sealed).map_err(|error| {
            tracing::error!(%error, transfer = transfer.id.0, "a payee's name does not open");
            Fault::system()
        })?;
        bill.user_name = Some(call.sealed_for_merchant(name.expose())?);
    }
    Ok(Reply::json(&bill))
}

/// The transfer a body asks for, its payee's name not compared yet. `name` opens that, `payee` knows who an openid of the
/// merchant's app is.
pub(super) fn transfer_request(
    fields: &Fields<'_>,
    (mchid, own, reach): (MchId, &str, Reach),
    name: impl FnOnce(&Fields<'_>) -> Result<Option<Secret<String>>, Fault>,
    payee: impl FnOnce(&str) -> Option<PersonId>,
) -> Result<(CreateTransfer, Option<PersonName>), Fault> {
    let appid = fields.required_text("appid", 1..=32)?;
    let out_bill_no = OUT_BILL_NO.required_in_body(fields)?;
    let scene = fields.required_text("transfer_scene_id", 1..=36)?;
    let openid = fields.required_text("openid", 1..=64)?;
    let amount = fields.required_integer("transfer_amount", LEAST_FEN..=MOST_FEN)?;
    let remark = fields.required_text("transfer_remark", 1..=32)?;
    let notify_url = fields.owned("notify_url", 256)?;
    if let Some(address) = &notify_url {
        check_notify_url(fields, address, reach)?;
    }
    let perception = fields.owned("user_recv_perception", 32)?;
    let report = report(fields)?;
    check_style(fields, amount)?;
    let name = match name(fields)? {
        Some(text) => Some(PersonName::parse(text.expose()).ok_or_else(|| unfit(fields, USER_NAME))?),
        None => None,
    };
    // An app of another merchant's is said before whose openid it is.
    if appid != own {
        return Err(refusal(Asked::Transfer, MerchantRefusal::AppidMismatch));
    }
    let request = CreateTransfer {
        mchid,
        appid: appid.to_owned(),
        out_bill_no,
        scene: scene.to_owned(),
        payee: payee(openid).ok_or_else(|| refusal(Asked::Transfer, MerchantRefusal::PayeeUnknown))?,
        name: None,
        amount: fen(amount),
        remark: remark.to_owned(),
        perception,
        report,
        notify_url,
    };
    Ok((request, name))
}

/// What is reported of a transfer. Its form is checked; which things a scene asks for is between merchant and operator.
fn report(fields: &Fields<'_>) -> Result<String, Fault> {
    const NAME: &str = "transfer_scene_report_infos";
    let infos = fields.objects(NAME)?.unwrap_or_default();
    if !(1..=MOST_REPORTS).contains(&infos.len()) {
        return Err(fields.refuse(NAME, said("应有 1 至 10 项", "must have 1 to 10 entries")));
    }
    let read = |info: &Fields<'_>| {
        Ok::<_, Fault>(TransferReport {
            info_type: info.required_text("info_type", 1..=15)?.to_owned(),
            info_content: info.required_text("info_content", 1..=32)?.to_owned(),
        })
    };
    let infos: Vec<TransferReport> = infos.iter().map(read).collect::<Result<_, _>>()?;
    Ok(compact(&infos))
}

/// How the payee is shown it. A red packet looks like any other transfer here, but keeps to its limit.
fn check_style(fields: &Fields<'_>, amount: i64) -> Result<(), Fault> {
    let Some(style) = fields.object("user_recv_style")? else { return Ok(()) };
    match style.required_text("type", 1..=32)? {
        "CONFIRM_PAGE" => Ok(()),
        "RED_PACKET" if amount <= MOST_RED_PACKET_FEN => Ok(()),
        "RED_PACKET" => {
            let issue = said("红包样式的金额不得超过 20000 分", "must not exceed 20000 for a red packet");
            Err(fields.refuse("transfer_amount", issue))
        }
        _ => {
            let issue = said("应为 CONFIRM_PAGE 或 RED_PACKET", "must be CONFIRM_PAGE or RED_PACKET");
            Err(style.refuse("type", issue))
        }
    }
}

/// The name in a sealed identity; what else is there is not looked at.
#[derive(Deserialize)]
struct Proven {
    name: String,
}

impl Drop for Proven {
    fn drop(&mut self) {
        self.name.zeroize();
    }
}

/// Compares a name with what the payee has proven.
async fn compare(call: &Call, payee: PersonId, name: &PersonName) -> Result<GivenName, Fault> {
    let vault = &call.app.networks.vault;
    let identity = call.app.engine.read(move |reader| reader.get::<Identity>(&payee)).await?;
    let found = match identity {
        None => Found::Nobody,
        Some(identity) => {
            let unreadable = || {
                tracing::error!(person = payee.0, "an identity does not open");
                Fault::system()
            };
            let plain = vault.open(Sealed::Identity, &identity.sealed).map_err(|_| unreadable())?;
            let proven: Proven = serde_json::from_slice(plain.expose()).map_err(|_| unreadable())?;
            let same_name = PersonName::parse(&proven.name).is_some_and(|proven| proven.is_same_as(name));
            Found::Identity { mac: identity.mac, same_name }
        }
    };
    Ok(GivenName {
        mac: name.mac(vault.compare_key()),
        sealed: vault.seal(Sealed::PayeeName, name.expose().as_bytes()),
        found,
    })
}
