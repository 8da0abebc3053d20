"""Who may ask and how often is the project's to say."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.permissions import (
    BasePermission,
    DjangoModelPermissionsOrAnonReadOnly,
    IsAuthenticated,
)
from rest_framework.settings import api_settings
from rest_framework.test import APIClient
from rest_framework.throttling import AnonRateThrottle
from rest_framework.versioning import QueryParameterVersioning
from rest_framework.views import APIView, exception_handler

from catalog.models import Product
from tests import shelf
from visualsearch.api.views import SearchView, SimilarView

pytestmark = pytest.mark.django_db


def addresses(product: Product) -> list[str]:
    return [f"/api/visualsearch/product/{product.pk}/{name}/" for name in ("similar", "state")]


def send_photo(api: APIClient) -> Any:
    return api.post("/api/visualsearch/product/search/", {"image": shelf.upload(shelf.picture())}, format="multipart")


def test_the_projects_permissions_hold(api: APIClient, rainbow: list[Product], view_policy: Any) -> None:
    view_policy(permission_classes=[IsAuthenticated], authentication_classes=[BasicAuthentication])
    responses = [*(api.get(address) for address in addresses(rainbow[0])), send_photo(api)]
    for response in responses:
        assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
        assert response["WWW-Authenticate"].startswith("Basic")
        assert response["Cache-Control"] == "no-store"
    unknown = api.get("/api/visualsearch/shoe/1/similar/")
    assert unknown.status_code == 401  # which sources there are is not told either
    User.objects.create_user("ann", password="secret")
    api.credentials(HTTP_AUTHORIZATION="Basic YW5uOnNlY3JldA==")
    assert api.get(addresses(rainbow[0])[0]).status_code == 200
    assert send_photo(api).status_code == 200
    api.credentials(HTTP_AUTHORIZATION="Basic YW5uOndyb25n")
    wrong = api.get(addresses(rainbow[0])[0])
    assert (wrong.status_code, wrong.json()["code"]) == (401, "authentication_failed")


def test_session_authentication_asks_for_a_csrf_token(rainbow: list[Product], view_policy: Any) -> None:
    view_policy(permission_classes=[IsAuthenticated], authentication_classes=[SessionAuthentication])
    api = APIClient(enforce_csrf_checks=True)
    refused = send_photo(api)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_authenticated")
    api.force_login(User.objects.create_user("ann"))
    refused = send_photo(api)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    token = "t" * 32
    api.cookies["csrftoken"] = token
    image = shelf.upload(shelf.picture())
    in_form = {"image": image, "csrfmiddlewaretoken": token}
    accepted = api.post("/api/visualsearch/product/search/", in_form, format="multipart")
    assert accepted.status_code == 200, accepted.content


def test_permissions_of_a_model(api: APIClient, rainbow: list[Product], view_policy: Any) -> None:
    """DjangoModelPermissions asks the view for its model; a POST needs what it says a POST needs."""
    view_policy(permission_classes=[DjangoModelPermissionsOrAnonReadOnly])
    assert api.get(addresses(rainbow[0])[0]).status_code == 200
    refused = send_photo(api)
    assert refused.status_code in (401, 403)
    assert refused.json()["code"] == "not_authenticated"
    user = User.objects.create_user("ann")
    user.user_permissions.add(Permission.objects.get(codename="add_product"))
    api.force_login(user)
    assert send_photo(api).status_code == 200
    unknown = api.get("/api/visualsearch/shoe/1/similar/")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_source")


class NotThisOne(BasePermission):
    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return bool(obj.title != "Secret")


def test_object_permissions_hide_a_product(api: APIClient, rainbow: list[Product], view_policy: Any) -> None:
    view_policy(permission_classes=[NotThisOne])
    Product.objects.filter(pk=rainbow[0].pk).update(title="Secret")
    for hidden, unknown in zip(addresses(rainbow[0]), addresses(Product(pk=0)), strict=True):
        assert api.get(hidden).status_code == 404
        assert api.get(hidden).content == api.get(unknown).content
    assert api.get(addresses(rainbow[1])[0]).status_code == 200


def test_photos_are_rarer_than_similar_products(api: APIClient, rainbow: list[Product], use_settings: Any) -> None:
    use_settings(PHOTO_RATE="2/min", SIMILAR_RATE="4/min")
    assert [send_photo(api).status_code for _ in range(3)] == [200, 200, 429]
    similar, state = addresses(rainbow[0])
    assert [api.get(address).status_code for address in (similar, state, similar, state, similar)] == [
        *[200] * 4,
        429,
    ]
    for refused in (send_photo(api), api.get(similar)):
        assert refused.json()["code"] == "throttled"
        assert 0 < int(refused["Retry-After"]) <= 60
        assert refused["Cache-Control"] == "no-store"


def test_the_default_rates(api: APIClient) -> None:
    from visualsearch.api.throttles import PhotoThrottle, SimilarThrottle

    assert (PhotoThrottle().rate, SimilarThrottle().rate) == ("20/min", "240/min")


def test_the_project_may_set_the_rates_of_the_scopes(api: APIClient, rainbow: list[Product], rest: Any) -> None:
    rates = {**api_settings.DEFAULT_THROTTLE_RATES, "visualsearch_photo": "1/day", "visualsearch_similar": None}
    rest(DEFAULT_THROTTLE_RATES=rates)
    assert [send_photo(api).status_code for _ in range(2)] == [200, 429]
    assert {api.get(addresses(rainbow[0])[0]).status_code for _ in range(20)} == {200}


def test_rates_are_for_each_client(rainbow: list[Product], use_settings: Any) -> None:
    use_settings(PHOTO_RATE="1/min")
    ann, visitor, other = APIClient(), APIClient(), APIClient(REMOTE_ADDR="10.1.2.3")
    ann.force_authenticate(User.objects.create_user("ann"))
    for client in (ann, visitor, other):
        assert [send_photo(client).status_code for _ in range(2)] == [200, 429]


def test_the_demo_believes_no_forwarded_address(rainbow: list[Product], use_settings: Any) -> None:
    use_settings(PHOTO_RATE="1/min")
    forged = [APIClient(HTTP_X_FORWARDED_FOR=f"10.0.0.{number}") for number in range(2)]
    assert [send_photo(client).status_code for client in forged] == [200, 429]


class Rare(AnonRateThrottle):
    rate = "1/day"


def test_the_projects_throttles_hold_too(api: APIClient, rainbow: list[Product], view_policy: Any) -> None:
    view_policy(throttle_classes=[Rare])
    assert [api.get(addresses(rainbow[0])[0]).status_code for _ in range(2)] == [200, 429]


def test_the_projects_version_in_the_query_is_no_filter(
    api: APIClient, rainbow: list[Product], view_policy: Any
) -> None:
    view_policy(versioning_class=QueryParameterVersioning)
    assert api.get(addresses(rainbow[0])[0], {"version": "1"}).status_code in (200, 404)
    assert "invalid_filter" not in api.get(addresses(rainbow[0])[0], {"version": "1"}).content.decode()


@pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
def test_methods_that_are_not_known(api: APIClient, rainbow: list[Product], method: str) -> None:
    for address in addresses(rainbow[0]):
        response = getattr(api, method)(address)
        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
        assert "GET" in response["Allow"]
    response = api.get("/api/visualsearch/product/search/")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_formats_that_are_not_known(api: APIClient, rainbow: list[Product]) -> None:
    response = api.get(addresses(rainbow[0])[0], HTTP_ACCEPT="application/x-spreadsheet")
    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


def test_pages_of_the_browsable_api(api: APIClient, rainbow: list[Product]) -> None:
    for address in (*addresses(rainbow[0]), "/api/visualsearch/product/search/"):
        response = api.get(address, HTTP_ACCEPT="text/html")
        assert response["Content-Type"].startswith("text/html")
        assert response.status_code in (200, 405)


def test_only_our_views_have_our_error_shape() -> None:
    assert api_settings.EXCEPTION_HANDLER is exception_handler
    assert APIView().get_exception_handler() is exception_handler
    assert SimilarView().get_exception_handler() is not exception_handler


def test_faults_of_the_shop_stay_faults(api: APIClient, rainbow: list[Product], monkeypatch: Any) -> None:
    monkeypatch.setattr("visualsearch.api.views.similar_to", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        api.get(addresses(rainbow[0])[0])
    api.raise_request_exception = False
    response = api.get(addresses(rainbow[0])[0])
    assert response.status_code == 500
    assert b"ZeroDivision" not in response.content


def test_a_shop_may_mount_a_view_with_its_own_policy(rf: Any, rainbow: list[Product]) -> None:
    view = SearchView.as_view(permission_classes=[IsAuthenticated])
    response = view(rf.post("/", {"image": shelf.upload(shelf.picture())}), source="product")
    assert response.status_code in (401, 403)
