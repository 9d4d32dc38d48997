"""Templates of paths: one path a reference, one reference a path, and nothing outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef
from secrets_svc.core.templates import PathTemplate

LABELS = some.from_regex(r"[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?", fullmatch=True)
NAMES = some.from_regex(r"[-a-zA-Z0-9_]{1,8}", fullmatch=True)
TEMPLATES = [
    "{name}",
    "{project}/{name}",
    "{project}_{name}",
    "{name}_{project}",
    "{name}.{domain}",
    "apps/{project}/{domain}/db-{name}",
    "{organization}/{domain}.{project}/{name}#password",
    "{project}_{domain}_{name}",
    "{project}X{name}Y{domain}",
]


@given(template=some.sampled_from(TEMPLATES), one=some.tuples(LABELS, LABELS, LABELS, NAMES),
       other=some.tuples(LABELS, LABELS, LABELS, NAMES))  # fmt: skip
def test_no_two_references_have_one_path(template: str, one: tuple[str, ...], other: tuple[str, ...]) -> None:
    made = PathTemplate(template)
    refs = [_ref(template, parts) for parts in (one, other)]
    paths = [made.path_of(ref) for ref in refs]
    for ref, path in zip(refs, paths, strict=True):
        assert path is not None
        assert made.ref_of(path, ref.scope.organization) == ref
        assert made.segments == tuple(template.partition("#")[0].split("/"))
        assert path.count("/") == template.count("/")
        assert ".." not in path.split("/")
        assert path.startswith(made.beginning(ref.scope))
    same_place = "{organization}" in template or one[0] == other[0]
    if same_place:
        assert (paths[0] == paths[1]) == (refs[0] == refs[1])


def _ref(template: str, parts: tuple[str, ...]) -> SecretRef:
    organization, domain, project, name = parts
    scope = Scope(
        organization,
        domain if "{domain}" in template else None,
        project if "{project}" in template else None,
    )
    return SecretRef(scope, name)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("", "must be a path"),
        ("a" * 513, "must be a path"),
        ("{project}", "must have {name}"),
        ("{name}{name}", "must have {name} once"),
        ("{project}/{nam}", 'must not have a placeholder "nam"'),
        ("{}/{name}", "must not have a placeholder"),
        ("../{name}", "without '..'"),
        ("a/../{name}", "without '..'"),
        ("./{name}", "without '..'"),
        ("/{name}", "not begin or end"),
        ("a//{name}", "not begin or end"),
        ("{name}/", "not begin or end"),
        ("{name}/{project", "must be letters"),
        ("{name}%2f", "must be letters"),
        ("a b/{name}", "must be letters"),
        ("{name}?x=1", "must be letters"),
        ("{project}{name}", "two scopes would have one path"),
        ("{project}-{name}", "two scopes would have one path"),
        ("{project}-{domain}/{name}", "two scopes would have one path"),
        ("{name}1{project}", "two scopes would have one path"),
        ("{name}#", "field"),
        ("{name}#$(x)", "field"),
    ],
)
def test_templates_that_are_none_are_refused(template: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        PathTemplate(template)
    assert said in refused.value.message


def test_the_level_is_the_one_of_its_placeholders() -> None:
    scopes = {
        "{name}": Scope("flyte"),
        "{project}/{name}": Scope("flyte", project="shop"),
        "{domain}/{name}": Scope("flyte", domain="production"),
        "{domain}/{project}/{name}": Scope("flyte", "production", "shop"),
    }
    for template, own in scopes.items():
        for scope in scopes.values():
            path = PathTemplate(template).path_of(SecretRef(scope, "db"))
            assert (path is not None) == (scope == own)


def test_what_others_wrote_there_is_none_of_ours() -> None:
    template = PathTemplate("apps/{project}/{name}")
    assert template.ref_of("apps/shop/db", "flyte") == SecretRef(Scope("flyte", project="shop"), "db")
    for rest in ("Shop/db", "shop/db/more", "shop/d.b", "-shop/db", "shop/", f"{'s' * 64}/db", "shop/db\n"):
        assert template.ref_of(f"apps/{rest}", "flyte") is None
    assert template.ref_of("other/shop/db", "flyte") is None


def test_looking_is_narrowed_to_what_was_asked_for() -> None:
    template = PathTemplate("apps/{project}/c-{domain}/{name}")
    shop = Scope("flyte", project="shop")
    assert template.beginning(shop) == "apps/shop/c-"
    apps, project, domain, name = template.narrowed(shop)
    assert (apps, project) == ("apps", "shop")
    assert not isinstance(domain, str)
    assert domain.fullmatch("c-production")
    assert not domain.fullmatch("production")
    assert not isinstance(name, str)
    assert template.narrowed(Scope("flyte", "production", "shop"))[:3] == ("apps", "shop", "c-production")
