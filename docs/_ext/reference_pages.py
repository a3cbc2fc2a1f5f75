"""Writes the pages of the API reference: one a module, which lists its public names by the file that defines them.

Nothing is listed by hand, so that a new network or figure is in the reference with no further line. Autosummary then
makes a page of each name.
"""

import ast
import importlib
import inspect
import itertools
import re
import sys
from pathlib import Path

from sphinx.util.nodes import make_refnode

#: A name that several of them offer is described on the page of the first.
MODULES = (
    "modelzoo.errors",
    "modelzoo",
    "modelzoo.models",
    "modelzoo.datasets",
    "modelzoo.datasets.mnist",
    "modelzoo.datasets.synthetic",
    "modelzoo.datasets.corruptions",
    "modelzoo.training",
    "modelzoo.finetuning",
    "modelzoo.evaluation",
    "modelzoo.numpy_runtime",
    "modelzoo.verification",
    "modelzoo.pages",
    "modelzoo.saving",
    "modelzoo.card",
    "modelzoo.registry",
    "modelzoo.network",
    "modelzoo.viz",
    "modelzoo.reference",
)


def setup(app):
    """Write the pages before Sphinx lists its sources, in which autosummary looks for names."""
    app.connect("config-inited", lambda app, config: write(Path(app.srcdir, "reference", "generated")))
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("missing-reference", find_documented)
    app.connect("html-page-context", break_names)
    return {"parallel_read_safe": True}


def write(folder):
    """Write the pages into a folder; a page that has not changed keeps its time."""
    folder.mkdir(exist_ok=True)
    for module, text in pages().items():
        page = folder / f"{module}.rst"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def pages():
    """Return the text of each module's page."""
    described = {}
    return {module: _page(module, described) for module in MODULES}


def public_names(module):
    """Return what a module offers: ``__all__``, or what it defines and documents; ``models`` has the builders."""
    if hasattr(module, "__all__") or module.__name__ == "modelzoo.models":
        names = getattr(module, "__all__", None) or dir(module)
    else:
        defined = inspect.getmembers(module, lambda value: inspect.isclass(value) or inspect.isfunction(value))
        names = [name for name, value in defined if value.__module__ == module.__name__]
        for data, docstring in itertools.pairwise(ast.parse(inspect.getsource(module)).body):
            if isinstance(data, ast.AnnAssign) and isinstance(docstring, ast.Expr):
                names.append(data.target.id)
    return [name for name in names if not name.startswith("_") and not inspect.ismodule(getattr(module, name))]


def tidy_signature(app, what, name, value, options, signature, returns):
    """Turn what Sphinx writes for defaults of dataclasses and for type aliases into Python."""
    if signature:
        signature = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", signature.replace("<factory>", "{}"))
    return signature, returns


def break_names(app, pagename, templatename, context, doctree):
    """Let names in titles break behind a full stop or an underscore, on narrow screens."""
    title = re.compile(r"(?<=<h[123]>)[^<]+")
    context["body"] = title.sub(lambda found: re.sub(r"(?<=\w[._])(?=\w)", "<wbr>", found[0]), context.get("body", ""))


def find_documented(app, env, node, content):
    """Resolve what a docstring calls by its plain name, ``finetune``, and the reference by that of another module."""
    if node.get("refdomain") != "py":
        return None
    documented = env.get_domain("py").objects
    target = node["reftarget"]
    ending = "." + (target.rpartition(".")[2] if target.startswith("modelzoo.") else target)
    found = min((name for name in documented if name.endswith(ending)), key=len, default=None)
    if found is None:
        return None
    entry = documented[found]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, found)


def _page(name, described):
    module = importlib.import_module(name)
    groups, elsewhere = {}, []
    for member in sorted(public_names(module), key=str.casefold):
        value = getattr(module, member)
        key = id(inspect.unwrap(value)) if callable(value) else (member, str(value))
        if key in described:
            elsewhere.append(f":obj:`{described[key]}`")
            continue
        described[key] = f"{name}.{member}"
        groups.setdefault("" if name == "modelzoo" else _home(module, member, value), []).append((member, value))
    for home in set(groups) - {"", name}:  # what these functions return
        for member, value in inspect.getmembers(sys.modules[home], inspect.isclass):
            if value.__module__ == home and not member.startswith("_") and id(value) not in described:
                described[id(value)] = f"{home}.{member}"
                groups[home].append((f"{home.removeprefix(name + '.')}.{member}", value))
    lines = [name, "=" * len(name), "", f".. module:: {name}", "", inspect.getdoc(module).partition("\n")[0], ""]
    if elsewhere:
        lines += [f"Described elsewhere: {', '.join(elsewhere)}.", ""]
    for home, members in groups.items():
        if home not in ("", name):
            title = home.rpartition(".")[2]
            lines += [title, "-" * len(title), "", inspect.getdoc(sys.modules[home]).partition("\n")[0], ""]
        listed = [member for member, value in members if callable(value)]
        if listed:
            lines += [".. autosummary::", "   :toctree: .", "   :nosignatures:", "", *(f"   {m}" for m in listed), ""]
        for member, value in members:
            if not callable(value):
                lines += [f".. autodata:: {home or name}.{member}", "   :no-value:", ""]
    return "\n".join(lines)


def _home(module, member, value):
    """Return the name of the module that defines a member."""
    if callable(value):
        return inspect.unwrap(value).__module__
    inside = [m for m in sys.modules if m.startswith(f"{module.__name__}.")]
    return next((m for m in inside if vars(sys.modules[m]).get(member) is value), module.__name__)
