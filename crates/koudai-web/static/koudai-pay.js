// Koudai's call-up for merchants' web pages, in the shape of WeChat's: load it from the wallet, and
//
//   WeixinJSBridge.invoke("getBrandWCPayRequest", parameters, function (result) { result.err_msg … });
//
// opens the wallet's payment page and comes back to this one with get_brand_wcpay_request:ok, :cancel or :fail. The page is
// loaded afresh then, so the result is given in two ways: to a page that calls up the same payment again, at once and without
// leaving; and to every page by the event "koudaipay" on document. It is a hint: believe a notification or a query.
(function () {
  "use strict";
  // Inside WeChat the page has a bridge of its own.
  if (window.WeixinJSBridge || /MicroMessenger/i.test(navigator.userAgent)) return;

  var REQUEST = "getBrandWCPayRequest";
  var NAME = "get_brand_wcpay_request";
  var KEY = "koudai-pay";
  var wallet = new URL(document.currentScript.src).origin;
  var waiting = null;

  // What is being paid, over the time the page is away. A browser without storage forgets it, and hears of it by the event.
  function remember(value) {
    try {
      if (value === null) sessionStorage.removeItem(KEY); else sessionStorage.setItem(KEY, value);
    } catch (_) { /* Storage is off. */ }
  }
  function remembered() {
    try { return sessionStorage.getItem(KEY); } catch (_) { return null; }
  }

  function cameBack() {
    var navigation = performance.getEntriesByType("navigation")[0];
    return Boolean(navigation) && navigation.type === "back_forward";
  }

  // The result with which the wallet sent the payer back, taken out of the address so that a reload does not say it again.
  var result = null;
  var here = new URL(location.href);
  var word = here.searchParams.get(NAME);
  if (word === "ok" || word === "cancel" || word === "fail") {
    result = { err_msg: NAME + ":" + word, package: remembered() };
    here.searchParams.delete(NAME);
    history.replaceState(history.state, "", here.href);
    remember(null);
  } else if (remembered() !== null && cameBack()) {
    // By the browser's own button, out of the payment: a page that calls up by itself would not let go otherwise.
    result = { err_msg: NAME + ":cancel", package: remembered() };
    remember(null);
  }

  function open(parameters, callback) {
    parameters = parameters || {};
    if (result && (result.package === null || result.package === parameters.package)) {
      var known = { err_msg: result.err_msg };
      result = null;
      setTimeout(function () { callback(known); }, 0);
      return;
    }
    waiting = callback;
    remember(parameters.package || "");
    var query = new URLSearchParams();
    ["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"].forEach(function (name) {
      if (parameters[name] !== undefined) query.set(name, String(parameters[name]));
    });
    var back = new URL(location.href);
    back.searchParams.delete(NAME);
    query.set("return_url", back.href);
    location.assign(wallet + "/pay/jsapi?" + query);
  }

  // Back by the browser's own button, and the page is still as it was: nobody has said how it went.
  addEventListener("pageshow", function (event) {
    if (!event.persisted || !waiting) return;
    var callback = waiting;
    waiting = null;
    remember(null);
    callback({ err_msg: NAME + ":cancel" });
  });

  window.WeixinJSBridge = {
    invoke: function (name, parameters, callback) {
      callback = typeof callback === "function" ? callback : function () {};
      if (name === REQUEST) open(parameters, callback);
      else setTimeout(function () { callback({ err_msg: name + ":function_not_exist" }); }, 0);
    },
    on: function () {},
    call: function () {},
  };

  function tell(name, detail) {
    document.dispatchEvent(new CustomEvent(name, { detail: detail }));
  }
  function ready() {
    tell("WeixinJSBridgeReady");
    if (result) tell("koudaipay", { err_msg: result.err_msg, package: result.package });
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready);
  else setTimeout(ready, 0);
})();
