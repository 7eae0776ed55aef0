// The link has the code in its fragment: write it into the form, and out of the address.
const code = location.hash.slice(1);
const field = document.querySelector("input[name=token]");
if (code && field) {
  field.value = code;
  document.getElementById("code").hidden = true;
  history.replaceState(null, "", location.pathname);
}
