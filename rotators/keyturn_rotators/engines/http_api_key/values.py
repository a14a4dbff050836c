"""What the placeholders of a request stand for: fields of the secret and of the administrator's, and what answers said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.http_api_key import pointer
from keyturn_rotators.engines.http_api_key.declaration import API_KEY
from keyturn_rotators.engines.http_api_key.templates import Placeholder, Template, Unfit
from keyturn_rotators.errors import Kind, RotationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values of one request."""

    provider: str
    current: Credential = field(repr=False)
    secret: Credential = field(repr=False)  # whom the request is about
    admin: Callable[[], Credential] = field(repr=False)  # read only when it is asked for
    key_field: str = API_KEY  # what the secret calls the key
    answers: Mapping[str, object] = field(default_factory=dict, repr=False)  # of `test` and `listed`
    label: str | None = None

    def about(self, credential: Credential) -> "Values":
        """The same for another key."""
        return replace(self, secret=credential)

    def text(self, template: Template) -> str:
        """Raises RotationError."""
        try:
            return template.text(self.resolve)
        except Unfit as error:
            raise self.error(str(error), "that field of the secret") from None

    def resolve(self, placeholder: Placeholder) -> object:
        """Raises RotationError where there is no such value."""
        match placeholder.source:
            case "secret":
                return self._field(self.secret, self.key_field if placeholder.name == API_KEY else placeholder.name, "secret")
            case "admin":
                return self._field(self.admin(), placeholder.name, "administrator's secret")
            case "label" if self.label is not None:
                return self.label
            case source if source in self.answers:
                return self._found(placeholder, self.answers[source])
        raise self.error(f"{placeholder} is not known here", "the declaration")

    def error(self, what: str, check: str, *, kind: Kind = Kind.POLICY) -> RotationError:
        return RotationError(kind, f"provider {self.provider}: {what}", check=check, secret=self.secret.secret)

    def _field(self, credential: Credential, name: str, whose: str) -> object:
        value = credential.get(name)
        if value in (None, ""):
            check = f"the JSON of {credential.secret or 'the secret'}: the provider's declaration asks for that field"
            raise self.error(f"the field {name} of the {whose} is missing", check)
        return value

    def _found(self, placeholder: Placeholder, answer: object) -> object:
        try:
            return pointer.find(answer, placeholder.name)
        except pointer.Missing:
            if placeholder.optional:
                return None
            check = f"the declaration's {placeholder} against what the provider answers"
            raise self.error(f"the answer has nothing at {placeholder}", check) from None
