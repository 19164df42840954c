"""Who asks: by the address, and by what its program calls itself."""

from ipaddress import IPv6Address, ip_address

from starlette.requests import Request

_PROGRAM_CHARACTERS = 200


def client_of(request: Request) -> str:
    """For whom a request is: the queue is fair among these. On this machine all programs have one address, and a
    script with many questions must not lock the page out."""
    address = request.client.host if request.client else "unknown"
    return f"{network(address)} {request.headers.get('user-agent', '')[:_PROGRAM_CHARACTERS]}"


def network(address: str) -> str:
    """An address; of IPv6 its network of 64 bits, all of which one client may have."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))


def is_address(name: str) -> bool:
    """Whether a host's name is an address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
