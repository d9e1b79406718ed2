"""What a task says about the web: which hosts, which search service."""

from pydantic import ConfigDict, Field, SecretStr, field_serializer

from swarm.base.values import Frozen


class Search(Frozen):
    """A search service: a known one, or one of the task's own."""

    model_config = ConfigDict(populate_by_name=True)

    use: str | None = None
    """Known service: `searxng`, `brave` or `tavily`."""
    url: str | None = None
    """Address of a service of one's own, such as SearXNG. Example: `http://127.0.0.1:8888`."""
    key: SecretStr | None = None
    """Key of the service, as a reference to the environment. Example: `${BRAVE_API_KEY}`."""
    price: float | None = Field(default=None, ge=0)
    """Price of a search in US dollars. [default: 0 for an own service, unknown for a paid one]"""
    get: str | None = None
    """Address of a search by GET, with `{url}`, `{q}`, `{n}` and `{key}` filled in."""
    post: str | None = None
    """Address of a search by POST."""
    query: dict[str, str] = Field(default_factory=dict)
    """Parameters of a GET."""
    header: dict[str, str] = Field(default_factory=dict)
    """Headers of the request."""
    json_body: dict[str, str] = Field(default_factory=dict, alias="json")
    """Fields of the JSON body of a POST."""
    rows: str = "results"
    """Dotted path of the list of results in the answer. [default: results]"""
    title: str = "title"
    """Path of a result's title. [default: title]"""
    link: str = "url"
    """Path of a result's address. [default: url]"""
    text: str = "text"
    """Path of a result's text. [default: text]"""
    paid: bool = False
    """Whether a search costs money. [default: false]"""

    @field_serializer("key")
    def _hide(self, key: SecretStr | None) -> str | None:
        return None if key is None else "***"


class Web(Frozen):
    """What agents may fetch from the web."""

    search: Search | None = None
    """Search service of the tool `web_search`. Example: `{use: brave, key: "${BRAVE_API_KEY}"}`."""
    hosts: tuple[str, ...] = ()
    """Hosts that are fetched, and no others; `*.example.org` with all below it. [default: all public hosts]"""
    ask: bool | None = None
    """Whether a person must allow each search and fetch. [default: as `approve` of the task says]"""
    private: tuple[str, ...] = ()
    """Addresses and networks that may be fetched although they are not public. Example: `[127.0.0.1]`."""
