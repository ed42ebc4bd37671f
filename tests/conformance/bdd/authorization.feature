Feature: Who may do what
  Every operation asks for a valid access token, and for the scope of what it does.

  Scenario Outline: Without valid credentials nothing is done, and the answer gives no reason
    Given a subscription to session-invitation
    When the client asks to <do> with <credentials>
    Then the error is 401 UNAUTHENTICATED
    And the answer asks for a bearer token
    And the answer has the x-correlator of the request
    And the message is the same as without credentials
    When the subscription is read
    Then the answer is 200

    Examples:
      | do     | credentials                    |
      | create | no credentials                 |
      | create | an empty header                |
      | create | another scheme                 |
      | create | a token that is none           |
      | create | an expired token               |
      | create | a token of another issuer      |
      | create | a token for another audience   |
      | create | a token signed by another key  |
      | create | an unsigned token              |
      | create | a token signed with HMAC       |
      | read   | no credentials                 |
      | read   | an empty header                |
      | read   | another scheme                 |
      | read   | a token that is none           |
      | read   | an expired token               |
      | read   | a token of another issuer      |
      | read   | a token for another audience   |
      | read   | a token signed by another key  |
      | read   | an unsigned token              |
      | read   | a token signed with HMAC       |
      | list   | no credentials                 |
      | list   | an empty header                |
      | list   | another scheme                 |
      | list   | a token that is none           |
      | list   | an expired token               |
      | list   | a token of another issuer      |
      | list   | a token for another audience   |
      | list   | a token signed by another key  |
      | list   | an unsigned token              |
      | list   | a token signed with HMAC       |
      | delete | no credentials                 |
      | delete | an empty header                |
      | delete | another scheme                 |
      | delete | a token that is none           |
      | delete | an expired token               |
      | delete | a token of another issuer      |
      | delete | a token for another audience   |
      | delete | a token signed by another key  |
      | delete | an unsigned token              |
      | delete | a token signed with HMAC       |

  Scenario Outline: The scope of the operation is needed
    Given a subscription to session-invitation
    And the token has every scope but "<scope>"
    When the client asks to <do>
    Then the error is 403 PERMISSION_DENIED
    And the answer has the x-correlator of the request

    Examples:
      | do     | scope                                                                    |
      | create | webrtc-events:org.camaraproject.webrtc-events.v0.session-invitation:create |
      | read   | webrtc-events:read                                                       |
      | list   | webrtc-events:read                                                       |
      | delete | webrtc-events:delete                                                     |

  Scenario Outline: The scope of one type does not make another
    Given the token has the scope "webrtc-events:org.camaraproject.webrtc-events.v0.<has>:create" only
    And a request for <asks>
    When the request is sent
    Then the error is 403 PERMISSION_DENIED

    Examples:
      | has                | asks               |
      | session-invitation | session-status     |
      | session-invitation | registration-ends  |
      | session-status     | session-invitation |
      | session-status     | registration-ends  |
      | registration-ends  | session-invitation |
      | registration-ends  | session-status     |
