// On the way to another wallet: a phone's browser goes to its page, a page inside its app calls it up. Each goes by itself once,
// and again at a press. How it went the server learns by itself.
const way = document.querySelector("[data-way]");
const go = document.querySelector("[data-go]");
const button = document.querySelector("[data-call-up]");
const call = document.querySelector("[data-call]");

const CALLS = {
  "wechat-pay": ["WeixinJSBridge", "getBrandWCPayRequest"],
  "wechat-receive": ["WeixinJSBridge", "requestMerchantTransfer"],
  "alipay-pay": ["AlipayJSBridge", "tradePay"],
};

function callUp() {
  const [bridge, name] = CALLS[call.dataset.call];
  const parameters = JSON.parse(call.dataset.parameters);
  const invoke = () => {
    const app = window[bridge];
    // The one takes its calls by `invoke`, the other by `call`.
    (app.invoke ?? app.call).bind(app)(name, parameters, () => { location.reload(); });
  };
  if (window[bridge]) invoke();
  else document.addEventListener(`${bridge}Ready`, invoke, { once: true });
}

// Whoever comes back, or reloads, is not sent off again by itself.
const once = `way ${way.dataset.poll} ${document.querySelector("form[action]").getAttribute("action")}`;
let first = true;
try {
  first = sessionStorage.getItem(once) === null;
  sessionStorage.setItem(once, "went");
} catch { /* Storage is off: it takes a press. */ first = false; }

if (go && first) location.assign(go.href);
if (button) {
  button.addEventListener("click", callUp);
  if (first) callUp();
}
// A page that is still being opened shows the way once it is there.
if (way.dataset.way === "opening") setTimeout(() => location.reload(), 1500);
