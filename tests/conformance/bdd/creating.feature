Feature: Making a subscription
  An application asks for one type of event, and the answer says at once what it got.

  Scenario Outline: A subscription of each type is made at once
    Given a request for <type>
    When the request is sent
    Then the answer is 201
    And the answer is a valid Subscription
    And the answer has the x-correlator of the request
    And the answer has "status" set to "ACTIVE"
    And the answer began while the request was under way
    And the answer repeats the request

    Examples:
      | type               |
      | session-invitation |
      | session-status     |
      | registration-ends  |

  Scenario: All that can be asked for is repeated
    Given a request for session-invitation
    And the request has "config.subscriptionExpireTime" 600 s from now
    And the request has "config.subscriptionMaxEvents" set to 50
    And the request has "config.initialEvent" set to true
    And the request has "protocolSettings" set to {"headers": {"x-tenant": "blue"}, "method": "POST"}
    When the request is sent
    Then the answer is 201
    And the answer is a valid Subscription
    And the answer repeats the request
    And the answer expires when the request asked for it

  Scenario: Without an expiry nothing is said of one
    Given a request for session-invitation
    When the request is sent
    Then the answer is 201
    And the answer has no "expiresAt"

  Scenario: The sink's credential is shown nowhere
    Given a request for session-invitation
    And the request has a credential for the sink that is valid for 600 s
    When the request is sent
    Then the answer is 201
    And the credential is not in the answer
    When the subscription is read
    Then the answer is 200
    And the credential is not in the answer
    When the subscriptions are listed
    Then the answer is 200
    And the credential is not in the answer

  Scenario Outline: What the server decides is not taken from the request
    Given a request for session-invitation
    And the request has "<member>" set to <value>
    When the request is sent
    Then the answer is 201
    And the answer is a valid Subscription
    And "<member>" is not <value> in the answer

    Examples:
      | member    | value                  |
      | id        | "mine"                 |
      | startsAt  | "2020-01-01T00:00:00Z" |
      | expiresAt | "2020-01-01T00:00:00Z" |
      | status    | "DELETED"              |

  Scenario: The media session may be called mediaSessionId
    Given a request for session-status
    And the request has no "config.subscriptionDetail.sessionId"
    And the request has "config.subscriptionDetail.mediaSessionId" set to "m1"
    When the request is sent
    Then the answer is 201
    And the answer repeats the request

  Scenario: A client's own token is shown the device that it named
    Given a subscription to session-invitation
    When the subscription is read
    Then the answer is 200
    And the answer repeats the request
    When the subscriptions are listed
    Then the answer is 200
    And the first item repeats the request

  Scenario: A token that stands for a user is shown no device
    Given the token stands for the user "alice"
    And a request for session-invitation
    When the request is sent
    Then the answer is 201
    And the answer has no "config.subscriptionDetail.deviceId"
    When the subscription is read
    Then the answer is 200
    And the answer has no "config.subscriptionDetail.deviceId"
    When the subscriptions are listed
    Then the answer is 200
    And the first item has no "config.subscriptionDetail.deviceId"

  Scenario: The scope of the requested type is enough
    Given the token has the scope "webrtc-events:org.camaraproject.webrtc-events.v0.session-status:create" only
    And a request for session-status
    When the request is sent
    Then the answer is 201

  Scenario Outline: The body is UTF-8, whether the request says so or not
    Given a request for session-invitation
    And the header "Content-Type" is "<media type>"
    When the request is sent
    Then the answer is 201
    And the answer repeats the request

    Examples:
      | media type                      |
      | application/json                |
      | application/json; charset=utf-8 |
