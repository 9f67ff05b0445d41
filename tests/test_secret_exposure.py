"""
Who opens a secret, and why.

L{rustbalance.secrets.Secret} gives its bytes away through C{expose} and C{pointer} only. Each function that uses one of
them is listed here with the reason; a new one fails this test until somebody has looked at it. What to look for:
nothing inside may make C{bytes}, C{str} or a large C{int} of the view, or hand it to something that does.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).parent.parent / "rustbalance"
OPENERS = ("expose", "pointer")

ALLOWED = {
    ("secrets.py", "_Page.__init__"): "locks the page that is still blank",
    ("secrets.py", "_Page.wipe"): "overwrites the page",
    ("secrets.py", "Secret.random"): "libsodium writes random bytes into the page",
    ("secrets.py", "Secret.copy_of"): "copies from one page to another",
    ("secrets.py", "Secret.pointer"): "is the way in, on top of the page's own",
    ("secrets.py", "Secret.__eq__"): "compares in constant time, by pointer",
    ("secrets.py", "Secret._equals"): "compares in constant time, by pointer",
    ("onion/keys.py", "ExpandedKey._opened"): "signs and blinds by pointer, in a locked workspace that is wiped after",
    ("onion/keys.py", "MasterKey.from_seed"): "hashes the seed from page to page and clamps single bytes",
    ("onion/keys.py", "MasterKey.from_expanded"): "looks at five bits of the scalar",
    ("onion/keys.py", "MasterKey.blinded_secret"): "multiplies from page to page",
    ("onion/keys.py", "BlindedKey.revision_key"): "hashes the view; the digest reveals counters, not the key",
    ("onion/keys.py", "DescriptorSigningKey.__init__"): "libsodium makes the key pair from page to page",
    ("onion/keys.py", "DescriptorSigningKey.sign"): "libsodium signs by pointer",
    ("onion/layers.py", "LayerCipher._keys"): "hashes the descriptor cookie into the keys of one layer",
    ("onion/client_auth.py", "x25519_public"): "multiplies by pointer; the result is public",
    ("onion/client_auth.py", "_line_for"): "encrypts the descriptor cookie; the result is public",
    ("onion/client_auth.py", "_unwrapped"): "decrypts a descriptor cookie into a page",
    ("onion/client_auth.py", "_exchange"): "multiplies from page to page",
    ("onion/client_auth.py", "_client_keys"): "hashes the shared secret into the keys of one client's line",
    ("cluster/keys.py", "TokenKeys.__init__"): "reads the key id, which is public",
    ("cluster/keys.py", "hkdf_extract"): "hashes from page to page",
    ("cluster/keys.py", "hkdf_expand"): "cuts the key from a longer page",
    ("cluster/keys.py", "_expand_block"): "hashes from page to page",
    ("cluster/bundle.py", "_plaintext"): "copies secrets into the page that is sealed",
    ("cluster/bundle.py", "_stretched"): "Argon2id stretches the passphrase from page to page",
    ("cluster/bundle.py", "_encrypt"): "libsodium seals the page, by pointer; the result is public",
    ("cluster/bundle.py", "_decrypt"): "libsodium opens the line into a page",
    ("cluster/bundle.py", "_read_contents"): "decodes the front of the page, where no secret is",
    ("cluster/bundle.py", "_cut"): "copies secrets out of the opened page",
    ("cluster/envelope.py", "_encrypt"): "libsodium seals a frame with the key, by pointer",
    ("cluster/envelope.py", "_decrypt"): "libsodium opens a frame with the key, by pointer",
    ("key_files.py", "_recognise"): "looks at the public header and cuts the key from it, page to page",
    ("secret_files/files.py", "read_secret"): "looks for the newline at the end",
    ("secret_files/files.py", "read_raw"): "the kernel reads the file into the page",
    ("secret_files/files.py", "write_secret"): "the kernel writes the file from the page",
    ("secret_files/codings.py", "decode_hex"): "libsodium decodes from page to page",
    ("secret_files/codings.py", "decode_base64"): "libsodium decodes from page to page",
    ("secret_files/codings.py", "encode_hex"): "libsodium encodes from page to page",
    ("secret_files/codings.py", "encode_base64"): "libsodium encodes from page to page",
    ("secret_files/inline.py", "read_inline"): "becomes text after every secret in it has been overwritten",
    ("joining/asking.py", "Asking.ask"): "the kernel sends the join secret from its page",
    ("health/proof.py", "_proof"): "reads the proof, which is public",
    ("provisioning/passphrase.py", "read_line"): "the kernel reads the passphrase into the page",
    ("config/cluster_keys.py", "_has"): "looks whether one byte occurs, and tells no more",
    ("config/cluster_keys.py", "_is_drawn_from"): "looks whether all bytes are of an alphabet, and tells no more",
    ("mesh/wg_tool.py", "_pipe_with"): "the kernel copies the base64 form from the page into a pipe to wg(8)",
    ("tor/wire.py", "send_password"): "codes the password from page to page and the kernel sends it from there",
}


EXAMPLE = """
class A:
    async def use(self, secret):
        with secret.expose() as view: pass
def outer(secret):
    def inner():
        return secret.pointer
    return inner
with SECRET.pointer(4) as start: pass
"""


def openings(source: str) -> Iterator[str]:
    """Yield the function of each mention of an opener, also of one that is not called at once."""
    for name, node in _walk(ast.parse(source), ()):
        if isinstance(node, ast.Attribute) and node.attr in OPENERS:
            yield name


def _walk(node: ast.AST, names: tuple[str, ...]) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        inside = names
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = (*names, child.name)
        yield ".".join(inside), child
        yield from _walk(child, inside)


class ExposureTests(SynchronousTestCase):
    """Every place where a secret is open is known."""

    def test_every_place_is_known(self) -> None:
        """No function opens a secret that is not listed, and none is listed that does not."""
        found = {
            (str(path.relative_to(PACKAGE)), name)
            for path in PACKAGE.rglob("*.py")
            for name in openings(path.read_text())
        }
        self.assertEqual(found - set(ALLOWED), set(), "opens a secret: look at it, then list it with the reason")
        self.assertEqual(set(ALLOWED) - found, set(), "opens none any more: take it off the list")

    def test_new_places_are_found(self) -> None:
        """A use is noticed in a method, in a nested function, at module level, and when it is only passed on."""
        self.assertEqual(list(openings(EXAMPLE)), ["A.use", "outer.inner", ""])
