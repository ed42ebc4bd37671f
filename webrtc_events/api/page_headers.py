"""Headers of one page of a list: how much there is in all, and where the other pages are.

Sources: CAMARA API Design Guide (pagination); RFC 8288 (Link).
"""

from collections.abc import Mapping

__all__ = ["page_headers"]


def page_headers(page: int, per_page: int, total: int) -> Mapping[str, str]:
    """`X-Total-Count` and `Link`. Pages count from 1; `total` is of all pages.

    The references have a query alone, so that they hold under whatever path a proxy shows the list. A page
    after the last has the last one before it.
    """
    last = max(1, -(-total // per_page))
    pages = {"first": 1}
    if page > 1:
        pages["prev"] = min(page - 1, last)
    if page < last:
        pages["next"] = page + 1
    pages["last"] = last
    links = (f'<?page={number}&perPage={per_page}>; rel="{name}"' for name, number in pages.items())
    return {"X-Total-Count": str(total), "Link": ", ".join(links)}
