//! The calls about a merchant's transfers to people.

use reqwest::Method;

use super::{Client, ClientError, body, same, segment};
use crate::oaep;
use crate::types::{TransferBill, TransferCancelled, TransferReply, TransferRequest};

const BILLS: &str = "/v3/fund-app/mch-transfer/transfer-bills";
/// The longest numbers of transfers, in characters.
const MAX_BILL_NO: usize = 32;
const MAX_TRANSFER_NO: usize = 64;

impl Client {
    /// Encrypts a sensitive field, such as a payee's name, to the platform key that this client names in its requests.
    ///
    /// # Errors
    /// `Invalid` if the configuration names no key in `platform_serial`, if that key is not known (see
    /// [`certificates`](Self::certificates)), or if the text is too long.
    pub fn encrypt(&self, text: &str) -> Result<String, ClientError> {
        let serial = self.config.platform_serial.as_deref().ok_or(ClientError::Invalid("platform_serial"))?;
        let keys = self.platform_keys();
        let key = keys.get(serial).ok_or(ClientError::Invalid("platform_serial"))?;
        oaep::encrypt(key, text.as_bytes()).map_err(|_| ClientError::Invalid("the text"))
    }

    /// Sends a person money, which they have to confirm. The same transfer again has one effect and answers how it stands;
    /// never take another number before it is known to have ended.
    ///
    /// # Errors
    /// See [`ClientError`]. `Invalid` if the number or the amount cannot be.
    pub async fn transfer(&self, request: &TransferRequest) -> Result<TransferReply, ClientError> {
        segment(&request.out_bill_no, MAX_BILL_NO, "out_bill_no")?;
        if request.transfer_amount < 1 {
            return Err(ClientError::Invalid("transfer_amount"));
        }
        let made: TransferReply = self.json(Method::POST, BILLS, &body(request)?).await?;
        same(&made.out_bill_no, &request.out_bill_no, "out_bill_no")?;
        Ok(made)
    }

    /// Asks for a transfer by the merchant's number.
    ///
    /// # Errors
    /// See [`ClientError`]; a transfer the platform does not know is `Refused` with `NOT_FOUND`.
    pub async fn query_transfer(&self, out_bill_no: &str) -> Result<TransferBill, ClientError> {
        let number = segment(out_bill_no, MAX_BILL_NO, "out_bill_no")?;
        let found = self.transfer_bill(&format!("{BILLS}/out-bill-no/{number}")).await?;
        same(&found.out_bill_no, out_bill_no, "out_bill_no")?;
        Ok(found)
    }

    /// Asks for a transfer by the platform's number.
    ///
    /// # Errors
    /// As [`query_transfer`](Self::query_transfer).
    pub async fn query_transfer_by_id(&self, transfer_bill_no: &str) -> Result<TransferBill, ClientError> {
        let number = segment(transfer_bill_no, MAX_TRANSFER_NO, "transfer_bill_no")?;
        let found = self.transfer_bill(&format!("{BILLS}/transfer-bill-no/{number}")).await?;
        same(&found.transfer_bill_no, transfer_bill_no, "transfer_bill_no")?;
        Ok(found)
    }

    async fn transfer_bill(&self, path: &str) -> Result<TransferBill, ClientError> {
        let found: TransferBill = self.json(Method::GET, path, &[]).await?;
        same(&found.mch_id, &self.config.mchid, "mch_id")?;
        Ok(found)
    }

    /// Takes a transfer back that its payee has not confirmed.
    ///
    /// # Errors
    /// See [`ClientError`]; one that has ended otherwise is `Refused` with `INVALID_REQUEST`.
    pub async fn cancel_transfer(&self, out_bill_no: &str) -> Result<TransferCancelled, ClientError> {
        let number = segment(out_bill_no, MAX_BILL_NO, "out_bill_no")?;
        let path = format!("{BILLS}/out-bill-no/{number}/cancel");
        let done: TransferCancelled = self.json(Method::POST, &path, b"{}").await?;
        same(&done.out_bill_no, out_bill_no, "out_bill_no")?;
        Ok(done)
    }
}
